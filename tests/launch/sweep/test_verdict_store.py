from __future__ import annotations

from pathlib import Path

import pytest

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.sweep.verdict_store import VerdictStore
from tests.launch.sweep.sweeps import drawn, verdict

[POINT] = drawn(at="3", ranks="1").points
VALID = verdict(Outcome.VALID, scenario=POINT.name)


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    made = RunDir(root=tmp_path)
    made.scenario(POINT.name).create()
    return made


def test_a_verdict_that_was_entered_is_found(run_dir: RunDir) -> None:
    """And nothing else."""
    store = VerdictStore(run_dir)
    assert (store.find(POINT), store.is_done(POINT), store.found([POINT])) == (None, False, {})
    store.enter(POINT, VALID)
    assert (VALID, True, {POINT.name: VALID}) == (store.find(POINT), store.is_done(POINT), store.found([POINT]))


def test_a_verdict_of_another_version_is_done_but_not_believed(run_dir: RunDir) -> None:
    """The point can be judged again from its evidence, or run again."""
    store = VerdictStore(run_dir)
    store.enter(POINT, VALID)
    file = run_dir.scenario(POINT.name).root / "verdict.json"
    file.write_text(file.read_text().replace('"version": 2', '"version": 99'))
    assert (store.find(POINT), store.is_done(POINT)) == (None, True)


def test_what_an_interrupted_run_left_is_removed(run_dir: RunDir) -> None:
    """Evidence of two runs in one folder would prove nothing; where there is nothing, nothing happens."""
    store = VerdictStore(run_dir)
    store.clear(POINT)
    store.clear(POINT)
    assert not run_dir.scenario(POINT.name).root.exists()


def test_the_evidence_of_a_good_point_stays_without_its_checkpoints(run_dir: RunDir) -> None:
    """Only the working directory goes."""
    VerdictStore(run_dir).remove_work(POINT)
    folder = run_dir.scenario(POINT.name)
    assert (folder.work.exists(), folder.events.is_dir()) == (False, True)
