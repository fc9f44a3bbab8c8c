"""The scripts that `resumable example` prints: killed in the middle, at a border and in a later epoch."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from resumable.launch.cli.help_texts import EXAMPLES
from tests.integration.conftest import Verify

pytestmark = pytest.mark.integration

FRAMEWORKS = {"ddp": 2, "plain": 1, "torchdata": 2, "lightning": 2, "accelerate": 2, "transformers": 2}
"""Ranks of each."""
SLOW_TO_IMPORT = {
    "accelerate": (),
    "lightning": ("--preload", "lightning"),
    "transformers": ("--preload", "transformers.trainer"),
}
"""Options of the command for each."""
FORGOTTEN = {
    '    parts = {"model": network, "optimizer": optimizer, "schedule": schedule, "loader": loader}': "rank_sequence",
    '        torch.set_rng_state(state["random"][dist.get_rank()])': "state",
}
"""Lines of the DDP example without what they restore last, and the check that notices."""


def command(*arguments: str, folder: Path, timeout: int = 580) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "resumable.launch", *arguments]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)


def example(name: str, folder: Path) -> str:
    printed = command("example", name, folder=folder)
    assert (printed.returncode, printed.stderr) == (0, "")
    return printed.stdout


def written(name: str, folder: Path) -> list[str]:
    """The words that have it killed twice: at the end of the first epoch, and in the middle of the second."""
    source = example(name, folder)
    for imported in re.findall(r"^(?:import|from) (\w+)", source, re.MULTILINE):
        pytest.importorskip(imported, reason=f"{name.upper()} NOT TESTED: {imported} is not installed")
    (folder / "train.py").write_text(source)
    num_ranks = FRAMEWORKS[name]
    last = 256 // 8 // num_ranks - 1
    faults = (f"--fault=sigkill@step={last}:rank=0", f"--fault=sigkill@epoch=1,batch=7:rank={num_ranks - 1}")
    return ["--nproc-per-node", str(num_ranks), *faults, str(folder / "train.py")]


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in SLOW_TO_IMPORT])
def test_an_example_resumes_exactly(verify: Verify, name: str, tmp_path: Path) -> None:
    """As it is printed."""
    judged = verify(*written(name, tmp_path))
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "options"), SLOW_TO_IMPORT.items())
def test_an_example_of_a_framework_resumes_exactly(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    """Each rank imports the framework, or the command does it once for all ranks."""
    ended = command("verify", "-q", *options, *written(name, tmp_path), folder=tmp_path)
    assert ended.stdout.startswith("VALID"), ended.stdout + ended.stderr


@pytest.mark.parametrize("line", FORGOTTEN)
def test_an_example_without_one_of_its_lines_is_found_out(verify: Verify, line: str, tmp_path: Path) -> None:
    """What it saves is what it takes."""
    source = example("ddp", tmp_path)
    shorter = line.replace(', "loader": loader', "") if "loader" in line else line.partition("torch")[0] + "pass"
    assert source.count(line) == 1
    (tmp_path / "train.py").write_text(source.replace(line, shorter))
    judged = verify("--nproc-per-node", "2", "--fault", "sigkill@epoch=1,batch=7:rank=1", str(tmp_path / "train.py"))
    wrong = [report.name for report in judged.verdict.checks if report.result.outcome == "invalid"]
    assert (judged.outcome, FORGOTTEN[line] in wrong) == ("invalid", True), judged.verdict.reason


def test_examples_are_short_and_name_how_they_are_proved(tmp_path: Path) -> None:
    """One reads them before one changes them."""
    for name in EXAMPLES:
        lines = example(name, tmp_path).splitlines()
        assert (len(lines) < 100, any("resumable verify" in line for line in lines)) == (True, True), name


def test_an_example_that_there_is_not_names_those_that_there_are(tmp_path: Path) -> None:
    """Usage."""
    refused = command("example", "jax", folder=tmp_path)
    assert (refused.returncode, "one of ddp," in refused.stderr) == (2, True)
