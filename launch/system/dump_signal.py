"""The signal on which a rank writes down where it stands, without its own help: it may hang in C."""

from __future__ import annotations

import faulthandler
import signal
from pathlib import Path

DUMP_SIGNAL = signal.SIGRTMIN + 7
"""A real-time signal: schedulers announce a preemption with SIGUSR1 and SIGUSR2, which belong to the script."""


def dump_stacks_on_request(file: Path) -> None:
    """Append the Python stacks of all threads to `file` whenever this process, or one that it forks, gets `DUMP_SIGNAL`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    faulthandler.register(DUMP_SIGNAL, file=file.open("a"), all_threads=True, chain=False)
