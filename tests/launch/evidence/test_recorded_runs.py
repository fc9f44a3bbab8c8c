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
