from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from resumable.launch.errors import DamagedPlanError, EvidenceError
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Plan
from tests.launch.plans import plan_of

WORDS = ("verify", "--nproc-per-node", "2", "--nnodes", "2:3")


def stored(folder: Path, plan: Plan, **changes: Any) -> RunDir:
    """A run directory with the plan as version 1 wrote it, but for some fields."""
    document = msgspec.to_builtins(plan)
    del document["topology"]
    (folder / "plan.json").write_bytes(msgspec.json.encode({**document, "version": 1, **changes}))
    return RunDir(root=folder)


@pytest.mark.parametrize("words", [WORDS, ("run", "--nnodes", "2", "--node-rank", "1", "-m", "timeit")])
def test_a_plan_of_version_1_is_still_read(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Its nodes stood in torchrun's flags alone."""
    expected = plan_of(*words)
    actual = stored(tmp_path, expected).read_plan()
    assert expected == actual


@pytest.mark.parametrize("torchrun", [{}, {"nnodes": "many"}, 7])
def test_a_damaged_plan_of_version_1_is_named_so(tmp_path: Path, torchrun: object) -> None:
    """As one of this version is."""
    with pytest.raises(DamagedPlanError, match="is damaged"):
        stored(tmp_path, plan_of(*WORDS), torchrun=torchrun).read_plan()


def test_a_later_version_is_not_guessed_at(tmp_path: Path) -> None:
    """The message says which versions are read."""
    with pytest.raises(EvidenceError, match=r"version=9, this program reads versions 1 and 2"):
        stored(tmp_path, plan_of(*WORDS), version=9).read_plan()
