"""Standard output whose reader may leave early, as `head` does, or whose disk may be full."""

from __future__ import annotations

import contextlib
import os
import sys

from rich.console import Console


class OutputConsole(Console):
    """Goes on in silence when nobody reads any more: neither what is done nor the exit code hangs on a reader."""

    def on_broken_pipe(self) -> None:
        """Where rich would end the process with exit code 1, which means INVALID."""
        self.quiet = True
        discard_output()


def discard_output() -> None:
    """Send to nowhere what is printed from now on, and what is still in the buffer, which the interpreter writes last."""
    with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
