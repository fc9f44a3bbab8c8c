"""Standard streams: a reader may leave early, as `head` does, a disk may be full, and the caller may have closed them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from typing import Literal, TextIO

from rich.console import Console
from rich.text import Text

from resumable.launch.system.environment import has_width
from resumable.launch.system.standard_error import say
from resumable.launch.system.text_safety import printable

UNLIMITED = 1_000_000
"""Columns of what is no terminal: a log or a pipe keeps a sentence in one line, for whoever searches it."""
DRAWING_WIDTH = 100
"""Columns that a drawing takes there."""


class OutputConsole(Console):
    """Goes on in silence when nobody reads any more: neither what is done nor the exit code hangs on a reader."""

    def __init__(self, *, force_terminal: bool | None) -> None:
        super().__init__(stderr=False, force_terminal=force_terminal, highlight=False)
        if not self.is_terminal and not has_width():
            self.width = UNLIMITED

    def on_broken_pipe(self) -> None:
        """Where rich would end the process with exit code 1, which means INVALID."""
        self.quiet = True
        discard_output()


def drawing_width(console: Console) -> int:
    """Columns for what has to be drawn in some width."""
    return console.width if console.width < UNLIMITED else DRAWING_WIDTH


def print_indented(console: Console, text: Text, *, head: Text | None = None, indent: int = 0) -> None:
    """Print a paragraph, folded where the terminal ends, and nothing behind the end of a line.

    Args:
        console: Where to.
        text: The paragraph; it may have lines of its own.
        head: Stands before the first line, in its indentation.
        indent: Columns before each line.
    """
    margin = Text(" " * indent)
    first = margin if head is None else head
    first.truncate(indent, pad=True)
    for number, line in enumerate(text.wrap(console, max(1, console.width - indent))):
        line.rstrip()
        console.print((first if number == 0 else margin) + line, soft_wrap=True)


def complain(text: str) -> None:
    """Say on standard error what is wrong; it may quote what somebody else has written."""
    say(printable(f"resumable: {text}"))


def discard_output() -> None:
    """Send to nowhere what is printed from now on, and what is still in the buffer, which the interpreter writes last."""
    with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def open_closed_streams() -> None:
    """Give standard streams that the caller closed (`>&-`), or that cannot be written, a place where nothing arrives.

    It is that of children, too. Without one the next file that is opened gets the number of the stream, so that what a
    library prints goes into it; and Python has no `sys.stdout` then, so that flushing it is an error, with the exit code of
    a refuted job.
    """
    sys.stdin = sys.stdin or _nowhere(0, "r")
    sys.stdout = _writable(sys.stdout, 1) or _nowhere(1, "w")
    sys.stderr = _writable(sys.stderr, 2) or _nowhere(2, "w")


def _writable(stream: TextIO | None, number: int) -> TextIO | None:
    """The stream; None if there is none, or one that can only be read: a shell script's file may have got its number."""
    if stream is not None and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        os.close(number)
        return None
    return stream


def _nowhere(number: int, mode: Literal["r", "w"]) -> TextIO:
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
        os.set_inheritable(number, True)
        return open(number, mode, encoding="utf-8", closefd=False)
    return open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123 - somebody else has the number by now
