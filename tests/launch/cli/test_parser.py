from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "numpy",
    "jinja2",
    "xml",
    "resumable.launch.checks",
    "resumable.launch.judge",
    "resumable.launch.report",
)


@pytest.mark.parametrize("module", HEAVY)
def test_the_parser_loads_nothing_that_only_a_command_needs(module: str) -> None:
    """Every command pays for what its parser imports."""
    program = "import sys, resumable.launch.cli.parser; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = [name for name in ended.stdout.split() if f"{name}.".startswith(f"{module}.")]
    assert loaded == []
