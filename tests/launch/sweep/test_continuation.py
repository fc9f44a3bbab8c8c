"""A chain that goes on from the life before the one that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.kept_work import keep_work
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Scenario
from resumable.launch.sweep.chains import without_link
from resumable.launch.sweep.continuation import prepare
from tests.launch.sweep.test_chain_follower import CHAIN, lives, sweep


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """A chain that was hit three times; kept is what its working directory held when its second life began."""
    _, run_dir = sweep(tmp_path, lives())
    folder = run_dir.scenario(CHAIN.name)
    for number in range(3):
        (folder.fired / str(number)).touch()
    (folder.work / "saved").write_text("then")
    keep_work(folder, 1)
    (folder.work / "saved").write_text("later")
    return run_dir


@pytest.fixture
def chain() -> Scenario:
    """The same without its second point."""
    made = without_link(CHAIN, 1, name="chain-0002")
    assert made is not None
    return made


def test_it_has_the_evidence_of_the_lives_before_and_the_folder_as_they_left_it(
    run_dir: RunDir, chain: Scenario
) -> None:
    """And nothing of what came behind: no line, no mark of a fault."""
    assert prepare(chain, CHAIN, run_dir)
    folder = run_dir.scenario(chain.name)
    history = read_history(folder)
    assert (history.incarnations, folder.fired_faults(), history.damage) == ((0,), [0], ())
    assert (run_dir.scenario(CHAIN.name).work / "saved").read_text() == "then"


def test_without_the_folder_there_is_nothing_to_go_on_from(run_dir: RunDir, chain: Scenario) -> None:
    """It may have been too large to be kept."""
    run_dir.scenario(CHAIN.name).kept_work(1).rename(run_dir.root / "gone")
    assert not prepare(chain, CHAIN, run_dir)
    assert not run_dir.scenario(chain.name).root.exists()
