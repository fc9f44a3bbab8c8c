from __future__ import annotations

import subprocess
import sys

from tests.launch.system.test_processes import ORPHAN

COMMAND = f"""
import subprocess, sys
from resumable.launch.system.offspring import leaving_none_behind

kept = subprocess.Popen(["sleep", "600"]) if "kept" in sys.argv else None
with leaving_none_behind():
    left = subprocess.run({ORPHAN}, stdout=subprocess.PIPE, check=True).stdout if "left" in sys.argv else b"0"
print(int(left), kept is not None and kept.poll() is None, "psutil" in sys.modules)
if kept:
    kept.kill()
"""


def said(*how: str) -> list[str]:
    command = [sys.executable, "-c", COMMAND, *how]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout.split()


def test_an_orphan_that_a_command_leaves_is_killed_and_what_was_there_before_is_not() -> None:
    """Its parent is gone, and the command has adopted it."""
    left, is_kept, _ = said("kept", "left")
    command = subprocess.run(["ps", "-o", "stat=", "-p", left], stdout=subprocess.PIPE, text=True, check=False)
    assert (int(left) > 0, command.stdout.strip(), is_kept) == (True, "", "True")


def test_who_starts_nothing_looks_at_no_processes() -> None:
    """A command that only reads is short."""
    assert said() == ["0", "False", "False"]
