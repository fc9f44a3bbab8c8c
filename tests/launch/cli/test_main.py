from __future__ import annotations

import errno
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from resumable.launch.cli.main import main


def raising(error: OSError):
    def command(*_: object) -> int:
        raise error

    return command


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_nothing_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    """It names the file; nothing is proved."""
    reason = os.strerror(number)
    monkeypatch.setattr(
        "resumable.launch.cli.commands.check.check", raising(OSError(number, reason, "run/verdict.json"))
    )
    assert (main(["check", "run"]), capsys.readouterr().err) == (3, f"resumable: run/verdict.json: {reason}\n")


def test_what_nobody_foresaw_is_ours_to_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With all that helps to fix it."""
    monkeypatch.setattr(
        "resumable.launch.cli.commands.check.check", raising(OSError(errno.EBADF, "Bad file descriptor"))
    )
    assert (main(["check", "run"]), "Traceback" in capsys.readouterr().err) == (70, True)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """As other programs say theirs."""
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert capsys.readouterr().out == f"resumable {version('resumable')}\n"


@pytest.mark.parametrize("words", [("--jobs", "0"), ("--kinds", "x"), ("--at", "1-99999999999")])
def test_a_sweep_that_cannot_be_leaves_no_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, str]
) -> None:
    """One line that names the flag."""
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "--run-dir", "run", *words]) == 2
    said = capsys.readouterr().err
    assert (said.startswith(f"resumable: {words[0]} {words[1]}: "), said.count("\n")) == (True, 1)
    assert not Path("run").exists()


def test_a_machine_is_not_examined_for_no_rank(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is tried."""
    assert main(["doctor", "--nproc-per-node", "0"]) == 2
    assert "--nproc-per-node 0: expected at least 1" in capsys.readouterr().err
