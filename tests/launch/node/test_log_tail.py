from __future__ import annotations

import io
from pathlib import Path
from threading import Event, Thread

from torch.distributed.elastic.multiprocessing.tail_log import tail_logfile

from resumable.launch.node.log_tail import MAX_PIECE, tail


class Pieces(io.StringIO):
    """Remembers how much was written at once."""

    longest = 0

    def write(self, text: str) -> int:
        self.longest = max(self.longest, len(text))
        return super().write(text)


def copied(file: Path, copy=tail) -> Pieces:
    """What a log that is complete looks like at the console."""
    console, finished = Pieces(), Event()
    finished.set()
    copy("[rank0]:", str(file), console, finished, 0.01, lambda line: not line.startswith("hidden"))
    return console


def test_lines_are_shown_as_torch_shows_them(tmp_path: Path) -> None:
    """Each behind its header, some of them not, the last one without an end."""
    (tmp_path / "log").write_bytes(b"one\nhidden\n\ntwo \xff\nthree")
    assert copied(tmp_path / "log", tail_logfile).getvalue() == copied(tmp_path / "log").getvalue()


def test_a_line_without_an_end_takes_no_memory(tmp_path: Path) -> None:
    """It arrives as a whole, behind one header, and never more than a piece of it at once."""
    text = "x" * (50 * MAX_PIECE)
    (tmp_path / "log").write_text(f"{text}\nend\n")
    console = copied(tmp_path / "log")
    assert (console.getvalue(), console.longest) == (f"[rank0]:{text}\n[rank0]:end\n", MAX_PIECE + len("[rank0]:"))


def test_a_long_line_that_is_not_shown_is_not_shown_at_all(tmp_path: Path) -> None:
    """Its first piece decides for the rest."""
    (tmp_path / "log").write_text("hidden" + "x" * (3 * MAX_PIECE) + "\nend\n")
    assert copied(tmp_path / "log").getvalue() == "[rank0]:end\n"


def test_what_is_written_last_is_shown_too(tmp_path: Path) -> None:
    """A log that is not there yet is waited for."""
    console, finished = Pieces(), Event()
    thread = Thread(target=tail, args=("", str(tmp_path / "log"), console, finished, 0.01))
    thread.start()
    (tmp_path / "log").write_text("last words\n")
    finished.set()
    thread.join()
    assert console.getvalue() == "last words\n"
