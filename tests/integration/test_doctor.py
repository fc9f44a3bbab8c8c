"""The restart that the doctor really tries."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path

import pytest
from rich.console import Console

from resumable.launch.doctor import run_doctor
from resumable.launch.doctor.examination import TRIALS
from resumable.launch.doctor.finding import Status
from resumable.launch.doctor.probe import Subject, examine


def subject(tmp_path: Path) -> Subject:
    return Subject(nproc_per_node=2, run_dir=tmp_path / "runs")


def test_our_launcher_survives_the_death_of_a_rank_here(tmp_path: Path) -> None:
    """A rank is killed with SIGKILL and the job ends well."""
    finding = examine(TRIALS[1], subject(tmp_path))
    assert finding.status == Status.OK, finding.meaning


def test_torchrun_s_restart_is_tried(tmp_path: Path) -> None:
    """Whether it survives is luck; that it was tried is not. torchrun needs the name localhost."""
    try:
        socket.gethostbyname("localhost")
    except OSError:
        pytest.skip("localhost does not resolve on this machine")
    finding = examine(TRIALS[0], subject(tmp_path))
    assert finding.status in (Status.OK, Status.WARN), finding.meaning


@pytest.mark.parametrize("nproc_per_node", [1, 100_000])
def test_a_quick_examination_of_this_machine_comes_to_an_end(tmp_path: Path, nproc_per_node: int) -> None:
    """Exit code, table and file agree."""
    console = Console(file=io.StringIO(), width=80)
    report = tmp_path / "doctor.json"
    code = run_doctor(
        console, nproc_per_node=nproc_per_node, run_dir=tmp_path / "runs", is_quick=True, json_file=report
    )
    assert code == json.loads(report.read_bytes())["exit_code"]
    # Too many ranks for any machine; whether one rank is too many depends on the machine.
    assert code == 1 or nproc_per_node == 1
