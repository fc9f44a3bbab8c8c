from __future__ import annotations

import io
from pathlib import Path
from threading import Event, Thread

import pytest
from torch.distributed.elastic.multiprocessing import tail_log

from resumable.launch.node.log_tail import MAX_PIECE, tail


class Pieces(io.StringIO):
    """Remembers how much was written at once."""

    longest = 0

    def write(self, text: str) -> int:
        self.longest = max(self.longest, len(text))
        return super().write(text)


def copied(file: Path, **options) -> Pieces:
    """What a log that is complete looks like at the console."""
    console, finished = Pieces(), Event()
    finished.set()
    tail("[rank0]:", str(file), console, finished, 0.01, **options)
    return console


def shown_by_torch(file: Path) -> str:
    console = io.StringIO()
    shown = tail_log.TailLog("rank", {0: str(file)}, console, interval_sec=0.01).start()
    shown.stop()
    return console.getvalue()


def test_lines_are_shown_as_torch_shows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each behind its header, the last one without an end."""
    (tmp_path / "log").write_bytes(b"one\n\ntwo \xff\nthree")
    expected = shown_by_torch(tmp_path / "log")
    monkeypatch.setattr(tail_log, "tail_logfile", tail)
    assert expected == shown_by_torch(tmp_path / "log") == "[rank0]:one\n[rank0]:\n[rank0]:two \ufffd\n[rank0]:three"


def test_a_line_without_an_end_takes_no_memory(tmp_path: Path) -> None:
    """It arrives as a whole, behind one header, and never more than a piece of it at once."""
    text = "x" * (50 * MAX_PIECE)
    (tmp_path / "log").write_text(f"{text}\nend\n")
    console = copied(tmp_path / "log")
    assert (console.getvalue(), console.longest) == (f"[rank0]:{text}\n[rank0]:end\n", MAX_PIECE + len("[rank0]:"))


def test_a_line_that_is_not_shown_is_not_shown_at_all(tmp_path: Path) -> None:
    """Of a long one the first piece decides for the rest. torch 2.6 filters nothing yet."""
    (tmp_path / "log").write_text("hidden\none\nhidden" + "x" * (3 * MAX_PIECE) + "\nend\n")
    console = copied(tmp_path / "log", log_line_filter=lambda line: not line.startswith("hidden"))
    assert console.getvalue() == "[rank0]:one\n[rank0]:end\n"


class EndsWithLastWords(Event):
    """A rank that writes, and is gone, just when somebody asks whether it is finished."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self.log = log

    def is_set(self) -> bool:
        self.log.write_text("last words\n")
        return True


def test_what_is_written_between_two_looks_is_shown(tmp_path: Path) -> None:
    """The file was not there at the one, and the rank was finished at the other."""
    console = Pieces()
    tail("", str(tmp_path / "log"), console, EndsWithLastWords(tmp_path / "log"), 0.01)
    assert console.getvalue() == "last words\n"


def test_what_is_written_last_is_shown_too(tmp_path: Path) -> None:
    """A log that is not there yet is waited for."""
    console, finished = Pieces(), Event()
    thread = Thread(target=tail, args=("", str(tmp_path / "log"), console, finished, 0.01))
    thread.start()
    (tmp_path / "log").write_text("last words\n")
    finished.set()
    thread.join()
    assert console.getvalue() == "last words\n"
