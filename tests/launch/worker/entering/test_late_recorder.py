from __future__ import annotations

import os
from pathlib import Path

from resumable.launch.evidence.chained_lines import Chain
from resumable.launch.evidence.rank_records import FORMAT_VERSION, AnyRecord, Load, Start, decode_line
from resumable.launch.worker.entering import late_recorder
from resumable.launch.worker.entering.late_recorder import LateRecorder

START = {
    "format": FORMAT_VERSION,
    "incarnation": 0,
    "rank": 0,
    "local_rank": 0,
    "world_size": 1,
    "node": 0,
    "pid": 1,
    "python": "3",
    "torch": "2",
}


def lines_of(file: Path) -> list[AnyRecord]:
    lines = file.read_bytes().splitlines()
    chain = Chain()
    assert not any(map(chain.is_broken, lines))
    return [decode_line(line) for line in lines]


def test_what_came_before_a_rank_is_known_to_be_one_is_in_its_evidence(tmp_path: Path) -> None:
    """Behind the line that says who it is, numbered through, each heard of once and at its time."""
    recorder = LateRecorder()
    heard: list[AnyRecord] = []
    recorder.observe(heard.append)
    recorder.emit(Load, path="a")
    recorder.begin(tmp_path / "file", **START)
    recorder.emit(Load, path="b")
    first, *others = lines_of(tmp_path / "file")
    assert (type(first), others, [line.sequence for line in others]) == (Start, heard, [1, 2])


def test_a_process_that_never_is_a_rank_writes_nothing(tmp_path: Path) -> None:
    """It has no file, and what it holds does not grow without end."""
    late_recorder._MOST_HELD, before = 3, late_recorder._MOST_HELD
    recorder = LateRecorder()
    for number in range(5):
        recorder.emit(Load, path=str(number))
    late_recorder._MOST_HELD = before
    recorder.begin(tmp_path / "file", **START)
    assert [line.sequence for line in lines_of(tmp_path / "file")] == [0, 4, 5]


def test_what_a_fork_becomes_begins_anew(tmp_path: Path) -> None:
    """What its parent had seen is its parent's."""
    recorder = LateRecorder()
    recorder.emit(Load, path="parent")
    recorder.close()  # as a fork does
    recorder.emit(Load, path="nobody")
    recorder.adopt()
    recorder.emit(Load, path="child")
    recorder.begin(tmp_path / "file", **START)
    assert [line.path for line in lines_of(tmp_path / "file")[1:]] == ["child"]


def test_a_full_disk_ends_the_record_and_nothing_else(tmp_path: Path) -> None:
    """The job trains on."""
    recorder = LateRecorder()
    recorder.begin(tmp_path / "file", **START)
    recorder._file.descriptor = os.open("/dev/full", os.O_WRONLY)
    recorder.emit(Load, path="a")
    recorder.emit(Load, path="b")
    assert not recorder.is_active
    os.close(recorder._file.descriptor)
