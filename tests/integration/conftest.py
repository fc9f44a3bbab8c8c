from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import pytest

from launch.verdict import Verdict

TIMEOUT_S = 240


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command `resumable` that has ended."""

    exit_code: int
    output: str
    errors: str
    run_dir: Path

    @property
    def verdict(self) -> Verdict:
        return msgspec.json.decode((self.run_dir / "verdict.json").read_bytes(), type=Verdict)

    @property
    def explanations(self) -> str:
        """Every sentence of every violation, and the summaries of the checks that found one."""
        return "\n".join(
            sentence
            for report in self.verdict.checks
            if report.result.outcome == "invalid"
            for sentence in [
                report.result.summary,
                *(f"{violation.sentence} {violation.explanation}" for violation in report.result.violations),
            ]
        )


Resumable = Callable[..., Finished]


def run_resumable(folder: Path, command: str, *arguments: str) -> Finished:
    """Run the command as a user would, with the evidence in `folder`."""
    run_dir = folder / "run"
    finished = subprocess.run(
        [sys.executable, "-m", "launch", command, "--quiet", "--run-dir", str(run_dir), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Finished(exit_code=finished.returncode, output=finished.stdout, errors=finished.stderr, run_dir=run_dir)


@pytest.fixture
def resumable(tmp_path: Path) -> Resumable:
    """The command, with the evidence in a folder of this test."""
    return partial(run_resumable, tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.integration)
