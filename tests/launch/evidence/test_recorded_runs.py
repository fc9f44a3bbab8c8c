"""Run directories that nothing but the recorder wrote: no command has left a plan there."""

from __future__ import annotations

from pathlib import Path

import pytest

from resumable.launch.errors import EvidenceError
from resumable.launch.evidence.recorded_runs import SCENARIO, stored_plan
from resumable.launch.evidence.run_dir import RunDir


def folder_of(tmp_path: Path, name: str) -> RunDir:
    run_dir = RunDir(root=tmp_path)
    run_dir.scenario(SCENARIO).create()
    (run_dir.scenario(SCENARIO).root / name).touch()
    return run_dir


@pytest.mark.parametrize("name", ["nodes/life-000.jsonl", "events/g0123456789abcdef-r0001-host-7.jsonl"])
def test_a_folder_of_an_attempt_or_of_a_host_is_a_run(tmp_path: Path, name: str) -> None:
    """The rank 0 that took the number may have written on another host."""
    assert stored_plan(folder_of(tmp_path, name)).command == "record"


def test_ranks_of_ours_need_their_plan(tmp_path: Path) -> None:
    """Without it nobody knows what was to be done to them."""
    with pytest.raises(EvidenceError, match="no run directory"):
        stored_plan(folder_of(tmp_path, "events/i000-r0000-7.jsonl"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "nowhere does not exist\nthe newest here is runs/a"),
        ("empty", "empty is no run directory: it has no plan.json\nthe newest here is runs/a"),
        ("runs", "runs is no run directory: it has no plan.json\nit holds some, the newest is runs/a"),
        ("runs/a/faulted", "runs/a/faulted is no run directory: it has no plan.json\nit lies in one: runs/a"),
    ],
)
def test_what_is_no_run_names_the_one_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    """The folder around it, the newest in it, or the newest here."""
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "runs/a/faulted"):
        Path(folder).mkdir(parents=True)
    Path("runs/a/plan.json").touch()
    with pytest.raises(EvidenceError) as error:
        stored_plan(RunDir(root=Path(name)))
    assert said == str(error.value)
