"""The signal on which a rank writes down where it stands, without its own help: it may hang in C."""

from __future__ import annotations

import faulthandler
import os
import signal
from pathlib import Path

from resumable.launch.system.descriptors import out_of_the_way

DUMP_SIGNAL = signal.SIGRTMIN + 7
"""A real-time signal: schedulers announce a preemption with SIGUSR1 and SIGUSR2, which belong to the script."""


def dump_stacks_on_request(file: Path) -> None:
    """Append the Python stacks of all threads to `file` whenever this process, or one that it forks, gets `DUMP_SIGNAL`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = out_of_the_way(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))
    faulthandler.register(DUMP_SIGNAL, file=descriptor, all_threads=True, chain=False)
