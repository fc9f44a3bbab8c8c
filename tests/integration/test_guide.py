"""What the README says one can type, typed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "README.md").read_text()


def test_the_test_in_the_guide_passes_with_the_script_in_the_guide(tmp_path: Path) -> None:
    """`resumable example ddp > example.py` as `train.py`, and the test below it."""
    [source] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "test_training.py").write_text(source)
    assert "resumable example ddp > example.py" in GUIDE
    with (tmp_path / "train.py").open("w") as script:
        subprocess.run(
            [sys.executable, "-m", "resumable.launch", "example", "ddp"], stdout=script, check=True, timeout=60
        )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "-W",
        "error",
        "--strict-markers",
        "-p",
        "no:cacheprovider",
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert (ended.returncode, "4 passed" in ended.stdout) == (0, True), ended.stdout + ended.stderr


def test_the_flags_and_commands_in_the_guide_are_there() -> None:
    """Those of the plugin, and every command that is typed."""
    words = [sys.executable, "-m", "pytest", "--help"]
    plugin = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
    assert [flag for flag in re.findall(r"--resume-[a-z]+", GUIDE) if flag not in plugin] == []
    typed = set(re.findall(r"^    resumable (\w+)", GUIDE, re.MULTILINE))
    words = [sys.executable, "-m", "resumable.launch", "--help"]
    helped = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
    assert typed <= set(re.findall(r"^    (\w+)", helped, re.MULTILINE))


def test_the_picture_in_the_guide_is_there() -> None:
    """Where the guide says."""
    assert [name for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", GUIDE) if not (ROOT / name).is_file()] == []
