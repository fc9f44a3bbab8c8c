"""A long record is packed on the way: nothing of it is lost, and nobody is disturbed."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable.launch.evidence.lines import Lines
from resumable.launch.evidence.rank_records import AnyRecord, Load, Save, decode_line
from resumable.launch.evidence.recorded_text import archive_of, part_of
from resumable.launch.system import zstandard
from resumable.launch.worker import parted_file
from resumable.launch.worker.recorder import Recorder
from tests.launch.marks import packs

PART_BYTES = 4096


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parts are small."""
    monkeypatch.setattr(parted_file, "PART_BYTES", PART_BYTES)
    return tmp_path / "i000-r0000-1.jsonl"


@pytest.fixture
def alarm() -> Iterator[None]:
    """The handler of SIGALRM is put back, and no alarm comes any more."""
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def records_of(file: Path) -> tuple[AnyRecord, ...]:
    """Those of a whole text: without a gap, each in the chain."""
    lines = Lines(file, decode_line)
    lines.read(lambda number, record: "" if record.sequence == number else "out of place")
    assert lines.flaw is None
    return tuple(lines)


def emit_many(recorder: Recorder, num: int) -> None:
    for _ in range(num):
        recorder.emit(Load, path="checkpoint.pt")


@packs
def test_a_long_record_is_packed_but_for_its_end(file: Path) -> None:
    """At any moment the parts that are not packed are the last two, three at most."""
    recorder = Recorder(file)
    emit_many(recorder, 1000)
    sizes = sorted(one.stat().st_size for one in file.parent.glob("*.jsonl.[0-9]*"))
    assert (len(records_of(file)), len(sizes)) == (1000, 2)
    assert sizes[-1] < PART_BYTES + 200
    assert archive_of(file).exists()
    assert not file.exists()


@packs
@pytest.mark.parametrize("num_lines", [300, 777, 2000])
def test_a_record_that_is_killed_is_whole(file: Path, num_lines: int) -> None:
    """Its process dies by SIGKILL while it writes and packs."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        recorder = Recorder(file)
        emit_many(recorder, num_lines)
        os.write(writes, b"!")
        emit_many(recorder, 10**9)
    os.read(reads, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert num_lines <= len(records_of(file))


@packs
@pytest.mark.usefixtures("alarm")
def test_handlers_may_save_and_raise_while_it_packs(file: Path) -> None:
    """What they write comes in its order, and what they raise reaches the job, be it an error of the system's kind."""
    recorder = Recorder(file)
    num_raised = 0

    def interrupt(*_: object) -> None:
        recorder.emit(Save, path="emergency.pt", phase="begin")
        raise InterruptedError

    signal.signal(signal.SIGALRM, interrupt)
    until = time.monotonic() + 30
    while num_raised < 50 and time.monotonic() < until:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0007)
            emit_many(recorder, 10**9)
        except InterruptedError:
            num_raised += 1
    assert (num_raised, sum(isinstance(one, Save) for one in records_of(file))) == (50, 50)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process grows beyond a few parts, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * PART_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@packs
@pytest.mark.usefixtures("small_files")
def test_a_full_disk_ends_the_record_and_what_was_packed_can_be_read(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The archive does not take a part as a whole; then the last part does not take a line."""
    recorder = Recorder(file)
    emit_many(recorder, 3000)
    last = max(records_of(file), key=lambda record: record.sequence)
    assert (recorder.is_active, archive_of(file).stat().st_size) == (False, 3 * PART_BYTES)
    assert last.sequence > 3 * PART_BYTES // 100
    assert "the record of this rank ends here" in capsys.readouterr().err


def test_without_zstandard_a_record_is_one_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it always was."""
    monkeypatch.setattr(zstandard, "_library", lambda: None)
    emit_many(Recorder(file), 300)
    assert (300, [file]) == (len(records_of(file)), list(file.parent.iterdir()))


@packs
def test_a_folder_that_takes_no_new_file_leaves_the_record_in_the_last_one(file: Path) -> None:
    """Its inodes may be used up before its room is."""
    recorder = Recorder(file)
    part_of(file, 1).mkdir()
    emit_many(recorder, 300)
    part_of(file, 1).rmdir()
    assert (len(records_of(file)), recorder.is_active) == (300, True)
