"""What a run left is enough to judge it again, and damage to it never turns into VALID."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import Finished, run_resumable

WITHOUT_TORCH = (
    "import sys; sys.modules['torch'] = None; from resumable.launch.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One VALID run, which every test copies before it touches it."""
    return run_resumable(
        tmp_path_factory.mktemp("stored"),
        *("verify", "--nproc-per-node", "2", "--fault", "sigkill@step=7:rank=1"),
        *("-m", "resumable.launch.jobs.digits", "--epochs", "2"),
    )


def check(run_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "check", "--quiet", str(run_dir)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def run_dir(stored: Finished, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored.run_dir, tmp_path / "copy"))


def one(run_dir: Path, pattern: str) -> Path:
    return min(run_dir.glob(pattern))


def test_the_same_verdict_comes_from_the_evidence_alone(stored: Finished, run_dir: Path) -> None:
    """`check` repeats the verdict to the letter, without torch."""
    verdict = (run_dir / "verdict.json").read_bytes()
    (run_dir / "verdict.json").unlink()
    checked = check(run_dir)
    assert (stored.exit_code, checked.returncode, checked.stderr) == (0, 0, "")
    assert (run_dir / "verdict.json").read_bytes() == verdict


def test_a_torn_last_line_is_normal(run_dir: Path) -> None:
    """A process that was killed stops anywhere."""
    file = one(run_dir, "faulted/events/i000-r0001-*.jsonl")
    file.write_bytes(file.read_bytes() + b'{"event":"ba')
    assert check(run_dir).returncode == 0


@pytest.mark.parametrize(
    "pattern",
    ["faulted/events/i001-r0000-*.jsonl", "faulted/events/i000-r0001-*.jsonl", "reference-2/events/*.jsonl"],
)
def test_a_missing_file_proves_nothing(run_dir: Path, pattern: str) -> None:
    """Evidence that is gone leaves the verdict UNKNOWN."""
    one(run_dir, pattern).unlink()
    assert check(run_dir).returncode == 3


def test_a_line_that_was_cut_out_shows(run_dir: Path) -> None:
    """Lines are numbered: one that is missing in the middle is damage."""
    file = one(run_dir, "faulted/events/i001-r0000-*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:20] + lines[21:]))
    assert check(run_dir).returncode == 3


def test_a_batch_that_was_altered_is_no_evidence(run_dir: Path) -> None:
    """One sample changed for another after the resume accuses nobody: it is not what the rank wrote."""
    file = one(run_dir, "faulted/events/i001-r0000-*.jsonl")
    text = file.read_text()
    number = text.partition('"indices":[')[2].partition(",")[0]
    file.write_text(text.replace(f'"indices":[{number},', f'"indices":[{int(number) + 1},', 1))
    assert check(run_dir).returncode == 3


def test_a_plan_of_another_version_is_refused(run_dir: Path) -> None:
    """The message names it, and those that are read."""
    plan = run_dir / "plan.json"
    plan.write_text(plan.read_text().replace('"version": 2', '"version": 99', 1))
    checked = check(run_dir)
    assert (checked.returncode, "version=99" in checked.stderr, "versions 1 and 2" in checked.stderr) == (2, True, True)


@pytest.mark.parametrize(
    "content", ["", "null", "[]", '{"version": "x"}', '{"version": 1}', "cos\nsystem\n(S'true'\ntR."]
)
def test_a_hostile_plan_is_data(run_dir: Path, content: str) -> None:
    """It can fail to load, with one message; nothing of it is executed."""
    (run_dir / "plan.json").write_text(content)
    checked = check(run_dir)
    assert (checked.returncode, checked.stderr.count("\n"), "plan.json" in checked.stderr) == (3, 1, True)
