"""A line on standard error, whatever has become of it; light enough for each interpreter of a recorded job."""

from __future__ import annotations

import contextlib
import io
import os
import sys


def say(line: str) -> None:
    """Write it where somebody may read it: a stream that is closed, full or gone changes nothing of what is done.

    Nothing stays in the stream's buffer, which the interpreter would fail to write at its end, with an exit code for that.
    """
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):  # ValueError: the script has closed it
        try:
            number = sys.stderr.fileno()
        except io.UnsupportedOperation:  # it is kept in memory
            sys.stderr.write(f"{line}\n")
        else:
            sys.stderr.flush()
            os.write(number, f"{line}\n".encode(errors="replace"))
