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


def test_what_the_guide_breaks_is_found_as_it_says(tmp_path: Path) -> None:
    """Its example is VALID, and without the words that are to be taken out it is answered as in the block, line by line."""
    [words] = re.findall(r"take `(.*?)` out of the line that begins with `parts =`", GUIDE)
    block = GUIDE[GUIDE.index("    INVALID: ") :].partition("\n\n")[0]
    source = command("example", "ddp", folder=tmp_path).stdout
    outputs = []
    for text in (source, source.replace(words, "")):
        (tmp_path / "example.py").write_text(text)
        outputs.append(command("verify", "--nproc-per-node", "2", "example.py", folder=tmp_path).stdout)
    assert re.search(r"^VALID$", outputs[0], re.MULTILINE), outputs[0]
    assert words_of(block) in words_of(outputs[1])


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    started = [sys.executable, "-m", "resumable.launch", *words]
    return subprocess.run(started, cwd=folder, capture_output=True, text=True, timeout=280, check=False)


def words_of(text: str) -> str:
    """However lines are broken, and whatever number a process had."""
    return " ".join(re.sub(r"-\d+\.jsonl", ".jsonl", text).split())


def test_the_test_in_the_guide_passes_with_the_script_in_the_guide(tmp_path: Path) -> None:
    """`resumable example ddp > example.py` as `train.py`, and the test below it."""
    [source] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "test_training.py").write_text(source)
    assert "resumable example ddp > example.py" in GUIDE
    (tmp_path / "train.py").write_text(command("example", "ddp", folder=tmp_path).stdout)
    words = f"{sys.executable} -m pytest -q -W error --strict-markers -p no:cacheprovider".split()
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert (ended.returncode, "4 passed" in ended.stdout) == (0, True), ended.stdout + ended.stderr


def test_the_flags_and_commands_in_the_guide_are_there() -> None:
    """Those of the plugin, and every command that is typed."""
    words = [sys.executable, "-m", "pytest", "--help"]
    plugin = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
    assert [flag for flag in re.findall(r"--resume-[a-z]+", GUIDE) if flag not in plugin] == []
    typed = set(re.findall(r"^    resumable (\w+)", GUIDE, re.MULTILINE))
    helped = command("--help", folder=ROOT).stdout
    assert typed <= set(re.findall(r"^    (\w+)", helped, re.MULTILINE))


def test_the_picture_in_the_guide_is_there() -> None:
    """Where the guide says."""
    assert [name for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", GUIDE) if not (ROOT / name).is_file()] == []
