"""Lets the node ask a rank where it stands, without the rank's help: it may hang in C."""

from __future__ import annotations

import faulthandler
from pathlib import Path

from resumable.launch.system.dump_signal import DUMP_SIGNAL


def dump_stacks_on_request(file: Path) -> None:
    """Append the Python stacks of all threads to `file` whenever this process, or one that it forks, gets `DUMP_SIGNAL`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    faulthandler.register(DUMP_SIGNAL, file=file.open("a"), all_threads=True, chain=False)
