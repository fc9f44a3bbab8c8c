"""What becomes of the exit code when the standard output cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from resumable.launch.reading.evidence import Evidence
from tests.launch.report import samples

CASES = pytest.mark.parametrize(("evidence", "code"), [(samples.valid(), 0), (samples.invalid(), 1)], ids=["0", "1"])


def check(run_dir: Path, *flags: str, stdout: int, is_buffered: bool = True) -> tuple[int, str]:
    """Exit code and standard error of `resumable check`."""
    command = [sys.executable, "-m", "launch", "check", *flags, str(run_dir)]
    env = os.environ | {"PYTHONUNBUFFERED": "" if is_buffered else "1"}
    ended = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=env)
    os.close(stdout)
    return ended.returncode, ended.stderr


def unread() -> int:
    """A pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@CASES
@pytest.mark.parametrize("flags", [(), ("--quiet",)])
def test_a_reader_that_left_changes_nothing(
    tmp_path: Path, evidence: Evidence, code: int, flags: tuple[str, ...]
) -> None:
    """As behind `| head -1`: the true exit code, and not a word."""
    run_dir = samples.stored(evidence, tmp_path)
    assert (code, "") == check(run_dir.root, *flags, stdout=unread())


def test_a_line_that_nobody_reads_ends_the_program_as_a_signal_would(tmp_path: Path) -> None:
    """Where Python writes at once, it cannot go on."""
    run_dir = samples.stored(samples.valid(), tmp_path)
    assert check(run_dir.root, "--quiet", stdout=unread(), is_buffered=False) == (141, "")


@pytest.mark.parametrize("flags", [(), ("--quiet",)])
def test_an_output_that_is_full_is_one_line_and_no_success(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Nobody has seen the verdict."""
    run_dir = samples.stored(samples.valid(), tmp_path)
    code, said = check(run_dir.root, *flags, stdout=os.open("/dev/full", os.O_WRONLY))
    assert (code, said.count("\n"), "No space left on device" in said) == (3, 1, True)
