"""`resumable doctor`: what on this machine will make restarts fail."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from resumable.launch.doctor import run_doctor
from resumable.launch.errors import UsageError
from resumable.launch.explain.outcome import ExitCode
from resumable.launch.report.outputs import STDOUT
from resumable.launch.system.interrupt import Interrupted, signals_raise
from resumable.launch.system.standard_streams import complain


def doctor(arguments: argparse.Namespace, console: Console) -> int:
    """Examine it; 0 if nothing is wrong, 1 if something is, 3 if a probe gave no answer."""
    if arguments.nproc_per_node < 1:
        raise UsageError(f"--nproc-per-node {arguments.nproc_per_node}: expected at least 1")
    if arguments.json == STDOUT:
        console = Console(stderr=True, highlight=False)
    with signals_raise():
        try:
            return run_doctor(
                console,
                nproc_per_node=arguments.nproc_per_node,
                run_dir=Path(arguments.run_dir),
                is_quick=arguments.quick,
                json_file=arguments.json,
            )
        except Interrupted as error:
            complain(f"interrupted by {error}; nothing of the trials is left")
            return ExitCode.UNKNOWN
