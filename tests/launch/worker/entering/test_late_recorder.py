from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from resumable.launch.evidence.chained_lines import Chain
from resumable.launch.evidence.rank_records import AnyRecord, Load, Start, Step, decode_line
from resumable.launch.worker.entering import late_recorder
from resumable.launch.worker.entering.late_recorder import LateRecorder
from tests.launch.lines import START


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
    assert [line.sequence for line in lines_of(tmp_path / "file")] == [0, 3, 4, 5]


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


def test_lines_of_steps_may_wait_for_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is heard of at its time; they are written with the first one after that second, or one of another kind."""
    file, recorder = tmp_path / "file", LateRecorder()
    times_ns = iter([0, 1, 1, 2, *(10**9 + more for more in (1, 2, 2, 3, 4))])
    monkeypatch.setattr(time, "monotonic_ns", lambda: next(times_ns))
    recorder.begin(file, holds_steps=True, **START)
    heard: list[AnyRecord] = []
    recorder.observe(heard.append)
    written = []
    for number in range(5):
        recorder.emit(Step, step=number)
        written.append(len(lines_of(file)) - 1)
    recorder.emit(Load, path="a")
    assert (written, lines_of(file)[1:], len(heard)) == ([1, 1, 1, 4, 4], heard, 6)


def test_a_handler_may_save_while_lines_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line writes them, and the one that is just made comes behind it."""
    file, recorder = tmp_path / "file", LateRecorder()
    recorder.begin(file, holds_steps=True, **START)
    recorder.emit(Step, step=0)
    recorder.emit(Step, step=1)
    handlers = [lambda: recorder.emit(Load, path="a")]

    class Interrupted(Step, frozen=True, kw_only=True, tag="step"):
        def __post_init__(self) -> None:
            while handlers:
                handlers.pop()()

    recorder._kinds_held = (Interrupted,)
    recorder.emit(Interrupted, step=2)
    recorder.emit(Load, path="b")
    assert [(line.sequence, type(line)) for line in lines_of(file)[1:]] == [
        (1, Step),
        (2, Step),
        (3, Load),
        (4, Step),
        (5, Load),
    ]


def test_a_full_disk_ends_the_record_and_nothing_else(tmp_path: Path) -> None:
    """The job trains on."""
    recorder = LateRecorder()
    recorder.begin(tmp_path / "file", **START)
    recorder._file.descriptor = os.open("/dev/full", os.O_WRONLY)
    recorder.emit(Load, path="a")
    recorder.emit(Load, path="b")
    assert not recorder.is_active
    os.close(recorder._file.descriptor)
