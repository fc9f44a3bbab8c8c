"""Runs a command that starts ranks by itself: the recorder enters each of them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from resumable.launch.errors import UsageError
from resumable.launch.system.environment import Recording
from resumable.launch.system.interrupt import Interrupted

SITE = Path(__file__).parents[1] / "worker" / "site"
"""Its `sitecustomize` reaches interpreters that have not installed this package; PYTHONPATH names it."""


def run_recorded(command: Sequence[str], recording: Recording, *, cwd: Path | None = None) -> int:
    """Run it to its end; a signal that asks us to end is handed on, and the command's own end awaited.

    Args:
        command: A program, found as a shell finds it, and its arguments.
        recording: Where its ranks are recorded.
        cwd: Where it runs; None: here.

    Returns:
        Its exit code as a shell gives it: 128 + N if signal N ended it.

    Raises:
        UsageError: there is no such program.
        Interrupted: once it has ended, if we were asked to end.
    """
    try:
        process = subprocess.Popen(command, env=recording.environment(site=SITE), cwd=cwd)
    except OSError as error:
        raise UsageError(f"{command[0]}: cannot be started ({error.strerror})") from error
    with process:
        try:
            code = process.wait()
        except Interrupted as error:
            if error.signum != signal.SIGINT:  # that one a terminal sends to the command itself
                process.send_signal(error.signum)
            process.wait()
            raise
    return 128 - code if code < 0 else code
