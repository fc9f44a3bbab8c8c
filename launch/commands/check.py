"""`resumable check`: the checks again, on stored evidence, without torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from launch.commands.verify import tell_verdict
from launch.rundir import RunDir


def check(arguments: argparse.Namespace, console: Console) -> int:
    """Judge every run directory; INVALID beats UNKNOWN beats VALID."""
    codes = []
    for root in arguments.run_dirs:
        run_dir = RunDir(root=Path(root))
        codes.append(tell_verdict(run_dir.read_plan(), run_dir, console, is_quiet=arguments.quiet))
    return 1 if 1 in codes else max(codes)
