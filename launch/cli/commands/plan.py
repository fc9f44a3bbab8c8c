"""`resumable plan`: which samples each rank will get."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib.util import find_spec

from rich.console import Console

from resumable.launch.errors import UsageError

_PROGRAM = "resumable.launch.jobs.plan"
"""It knows the samplers, of which nothing here may know, and runs by itself as the built-in job does."""


def plan(arguments: argparse.Namespace, _console: Console) -> int:
    """Hand the arguments on, and print what comes."""
    if find_spec("torch") is None:
        raise UsageError(f"{sys.executable} has no module torch: pip install torch")
    request = json.dumps({name: value for name, value in vars(arguments).items() if name != "command"})
    # -P: nothing that lies in the present folder stands in for a module.
    return subprocess.run([sys.executable, "-P", "-m", _PROGRAM, request], check=False).returncode
