from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable.launch.evidence.rank_records import AnyRecord, Exit, Load, Remove, Save, decode_line, encode_line
from resumable.launch.evidence.recorded_text import RecordedText
from resumable.launch.worker import recorder as module
from resumable.launch.worker.recorder import Recorder

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "i000-r0000-1.jsonl"


@pytest.fixture
def alarm() -> Iterator[None]:
    """The handler of SIGALRM is put back, and no alarm comes any more."""
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def lines_of(file: Path) -> list[AnyRecord]:
    return [decode_line(line) for line in RecordedText(file).lines()]


def test_a_line_is_in_the_file_before_anybody_hears_of_it(file: Path) -> None:
    """Numbered from 0, without a gap."""
    recorder = Recorder(file)
    seen: list[list[AnyRecord]] = []
    recorder.observe(lambda _: seen.append(lines_of(file)))
    recorder.emit(Load, path="a")
    recorder.emit(Load, path="b")
    assert [[line.path for line in lines] for lines in seen] == [["a"], ["a", "b"]]
    assert [line.sequence for line in lines_of(file)] == [0, 1]


def test_a_forked_process_writes_nothing(file: Path) -> None:
    """Loader workers inherit the object."""
    recorder = Recorder(file)
    child = FORK.Process(target=recorder.emit, args=(Load,), kwargs={"path": "a"})
    child.start()
    child.join()
    assert (child.exitcode, recorder.is_active, file.read_bytes()) == (0, True, b"")


def test_who_wants_some_kinds_of_lines_hears_of_no_others(file: Path) -> None:
    """Most lines are nobody's business but of a few."""
    recorder = Recorder(file)
    heard: list[AnyRecord] = []
    recorder.observe(heard.append, Load, Exit)
    written = [recorder.emit(kind, path="a") for kind in (Load, Remove)]
    assert heard == written[:1]


def test_who_has_heard_enough_of_some_kind_of_lines_hears_of_no_more(file: Path) -> None:
    """It goes on to hear of those of the other kinds, and of each once, though it asks again; so do those beside it."""
    recorder = Recorder(file)
    heard: list[AnyRecord] = []
    beside: list[AnyRecord] = []

    def hear(record: AnyRecord) -> bool:
        heard.append(record)
        return isinstance(record, Load)

    for observer in (hear, beside.append):
        recorder.observe(observer, Load, Remove)
    written = [recorder.emit(kind, path="a") for kind in (Load, Load, Remove)]
    recorder.observe(hear, Load, Remove)
    again = [recorder.emit(kind, path="a") for kind in (Remove, Load)]
    assert ([written[0], written[2], *again], [*written, *again]) == (heard, beside)


@pytest.fixture
def small_files() -> Iterator[None]:
    """Of this process's files, none grows beyond a few lines, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_ends_the_record_and_not_the_job(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said once; of the line that did not fit nobody hears, and the lines before it can be read."""
    recorder = Recorder(file)
    heard: list[AnyRecord] = []
    recorder.observe(heard.append)
    said = [recorder.emit(Load, path="x" * 20) for _ in range(9)]
    whole, _, torn = file.read_bytes().rpartition(b"\n")
    assert (heard, False) == ([decode_line(line) for line in whole.splitlines()], recorder.is_active)
    assert (heard, True) == ([one for one in said if one is not None], 0 < len(torn) < 300)
    assert "resumable: the record of this rank ends here" in capsys.readouterr().err


def test_a_script_may_close_all_that_it_finds_open(file: Path) -> None:
    """As a daemon does; the file is opened again, if it is there."""
    recorder = Recorder(file)
    for _ in range(2):
        os.close(recorder._file.descriptor)
        recorder.emit(Load, path="a")
    os.close(recorder._file.descriptor)
    file.rename(file.with_name("elsewhere"))
    recorder.emit(Load, path="a")
    assert ([line.sequence for line in lines_of(file.with_name("elsewhere"))], recorder.is_active) == ([0, 1], False)


def test_a_file_that_is_there_is_never_written_to(file: Path) -> None:
    """It is another process's evidence."""
    file.touch()
    with pytest.raises(FileExistsError):
        Recorder(file)


def test_a_name_that_is_no_text_is_recorded(file: Path) -> None:
    """On Linux the name of a file may be any bytes; its record is one like all others."""
    recorder = Recorder(file)
    recorder.emit(Save, path=os.fsdecode(b"ck\xff.pt"), phase="begin", content={"\ud800": "1"})
    recorder.emit(Load, path="a")
    first, second = lines_of(file)
    assert (first, second.path) == (
        Save(sequence=0, time_ns=first.time_ns, path="ck\\udcff.pt", phase="begin", content={"\\ud800": "1"}),
        "a",
    )


def test_threads_share_one_sequence(file: Path) -> None:
    """However many write."""
    recorder = Recorder(file)
    threads = [threading.Thread(target=emit_many, args=(recorder, 500)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line.sequence for line in lines_of(file)] == list(range(2000))


def test_who_is_alone_is_heard_first(file: Path) -> None:
    """Other threads wait with their lines, the observers with them."""
    recorder = Recorder(file)
    heard: list[str] = []
    recorder.observe(lambda record: heard.append(record.path))
    thread = threading.Thread(target=recorder.emit, args=(Load,), kwargs={"path": "other"})
    with recorder.alone():
        thread.start()
        recorder.emit(Load, path="a")
        recorder.emit(Load, path="b")
    thread.join()
    assert heard == [line.path for line in lines_of(file)] == ["a", "b", "other"]


def emit_many(recorder: Recorder, num: int) -> None:
    for _ in range(num):
        recorder.emit(Load, path="a")


def interrupted_soon(recorder: Recorder) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
    emit_many(recorder, 1_000_000)


def test_a_handler_may_save_while_a_line_is_made(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines come first, and the numbers go on without a gap."""
    recorder = Recorder(file)
    handlers = [lambda: recorder.emit(Save, path="emergency.pt", phase="begin")]

    def interrupted(record: AnyRecord) -> bytes:
        while handlers:
            handlers.pop()()
        return encode_line(record)

    monkeypatch.setattr(module, "encode_line", interrupted)
    recorder.emit(Load, path="a")
    assert [(line.sequence, line.path) for line in lines_of(file)] == [(0, "emergency.pt"), (1, "a")]


@pytest.mark.usefixtures("alarm")
def test_a_handler_may_save_at_any_time(file: Path) -> None:
    """Alarms hit the writer wherever they like."""
    recorder = Recorder(file)
    signal.signal(signal.SIGALRM, lambda *_: recorder.emit(Save, path="emergency.pt", phase="begin"))
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    emit_many(recorder, 20_000)
    signal.setitimer(signal.ITIMER_REAL, 0)
    lines = lines_of(file)
    assert [line.sequence for line in lines] == list(range(len(lines)))
    assert sum(isinstance(line, Load) for line in lines) == 20_000


@pytest.mark.usefixtures("alarm")
def test_an_exception_out_of_a_handler_leaves_no_gap(file: Path) -> None:
    """torch raises from its handler of SIGCHLD, Python from its own of SIGINT."""
    recorder = Recorder(file)

    def interrupt(*_: object) -> None:
        raise InterruptedError

    signal.signal(signal.SIGALRM, interrupt)
    for _ in range(200):
        with pytest.raises(InterruptedError):
            interrupted_soon(recorder)
    lines = lines_of(file)
    assert [line.sequence for line in lines] == list(range(len(lines)))
