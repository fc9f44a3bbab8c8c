"""Shows what ranks print while they print it.

torch takes a log line by line, so that a rank which prints hundreds of megabytes without ending a line costs its agent as
much memory. Here a line that is long is shown in pieces.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TextIO

MAX_PIECE = 1 << 16
"""Characters of a line that are taken at once."""


def tail(  # noqa: PLR0917 - as torch has it
    header: str,
    file: str,
    dst: TextIO,
    finished: Event,
    interval_sec: float,
    log_line_filter: Callable[[str], bool] | None = None,
) -> None:
    """Copy a log that is being written, each line behind a header, until it is `finished`; see torch's `tail_logfile`.

    Args:
        header: Stands before each line.
        file: The log; it may not be there yet.
        dst: Gets the lines.
        finished: Set once nothing more will be written.
        interval_sec: How long to wait for more.
        log_line_filter: Lines that it refuses are left out; of one that is long, the first piece decides.
    """
    was_finished = finished.is_set()  # before each look: what is written after a look is there at the next one
    while not Path(file).exists():
        if was_finished:
            return
        time.sleep(interval_sec)
        was_finished = finished.is_set()
    is_shown, is_begin = False, True
    with Path(file).open(errors="replace") as log:
        while True:
            was_finished = finished.is_set()
            piece = log.readline(MAX_PIECE)
            if piece:
                if is_begin:
                    is_shown = log_line_filter is None or log_line_filter(piece)
                if is_shown:
                    dst.write(f"{header if is_begin else ''}{piece}")
                is_begin = piece.endswith("\n")
            elif was_finished:
                return
            else:
                time.sleep(interval_sec)
