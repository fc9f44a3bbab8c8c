"""`resumable example`: a training script to start from."""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files

from rich.console import Console

from resumable.launch.explain.outcome import ExitCode


def example(arguments: argparse.Namespace, _console: Console) -> int:
    """Print one of the scripts in `launch/jobs/examples`."""
    script = files("resumable.launch.jobs") / "examples" / f"{arguments.name}.py"
    sys.stdout.write(script.read_text(encoding="utf-8"))
    return ExitCode.VALID
