"""Standard streams: a reader may leave early, as `head` does, a disk may be full, and the caller may have closed them."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, Literal, TextIO

from resumable.launch.system.standard_error import say
from resumable.launch.system.text_safety import printable


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


@contextlib.contextmanager
def whole_again(stream: TextIO, number: int) -> Iterator[None]:
    """Afterwards this stream, of that descriptor, can be written to, though it was closed or taken apart meanwhile."""
    options: dict[str, Any] = {"encoding": stream.encoding, "errors": stream.errors, "write_through": True}
    try:
        yield
    finally:
        try:
            stream.flush()
        except ValueError:
            with contextlib.suppress(OSError):
                stream.__init__(io.FileIO(number, "w", closefd=False), **options)  # type: ignore[misc]
        except OSError:
            pass  # whoever read it has left, or the disk is full


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
