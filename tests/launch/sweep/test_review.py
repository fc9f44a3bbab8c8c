"""A sweep of two points in a run directory: a good one, and one whose rank 1 skips a batch after the restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from resumable.launch.cli.main import main
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import judge_evidence
from resumable.launch.plan.plan import on_plain_processes
from resumable.launch.sweep.judge import PointJudge
from resumable.launch.sweep.points import without_points
from resumable.launch.sweep.review import review
from resumable.launch.sweep.verdict_store import VerdictStore
from tests.launch.report import samples
from tests.launch.sweep.evidence import BAD, GOOD, PLAN, plan, store
from tests.launch.sweep.sweeps import verdict


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """All evidence; no verdict yet."""
    store(samples.valid(), tmp_path, GOOD.name)
    return store(samples.invalid(), tmp_path, BAD.name)


def test_a_point_is_judged_as_a_verify_would_judge_it(run_dir: RunDir) -> None:
    """Reading the references once changes nothing but the names."""
    judge = PointJudge.of(plan(), run_dir)
    assert judge.yardstick.outcome is Outcome.VALID
    expected = [judge_evidence(evidence) for evidence in (samples.valid(), samples.invalid())]
    found = [judge.judge(point) for point in plan().points]
    assert [(each.outcome, each.reason) for each in expected] == [(each.outcome, each.reason) for each in found]


def test_only_points_that_came_to_their_end_are_reviewed(run_dir: RunDir) -> None:
    """Whatever the stored verdict said, the evidence says it anew."""
    verdicts = VerdictStore(run_dir)
    verdicts.enter(BAD, verdict(Outcome.VALID))
    found = review(plan(), run_dir)
    assert {name: each.outcome for name, each in found.items()} == {BAD.name: Outcome.INVALID}


def test_plain_processes_that_show_nothing_take_the_proof_away(run_dir: RunDir) -> None:
    """As it did when it was run."""
    store(samples.valid(), run_dir.root, on_plain_processes(BAD).name)
    verdicts = VerdictStore(run_dir)
    for scenario in (GOOD, BAD, on_plain_processes(BAD)):
        verdicts.enter(scenario, verdict(Outcome.VALID))
    found = review(plan(), run_dir)
    assert (found[GOOD.name].outcome, found[BAD.name].outcome) == (Outcome.VALID, Outcome.UNKNOWN)
    assert "(only on a warm node: INVALID; on plain processes it was VALID)" in found[BAD.name].reason


@pytest.mark.parametrize(("file", "code"), [("verdict.json", 0), ("another.json", 3)])
def test_check_says_whether_the_sweep_came_to_its_end(run_dir: RunDir, file: str, code: int) -> None:
    """A budget may leave out points, an interruption may not."""
    verdicts = VerdictStore(run_dir)
    verdicts.enter(GOOD, verdict(Outcome.UNKNOWN))
    (run_dir.root / file).write_text("{}")
    assert main(["check", "--quiet", str(run_dir.root)]) == code
    assert verdicts.found(plan().points)[GOOD.name].outcome is Outcome.VALID


def test_a_sweep_with_all_its_verdicts_has_come_to_its_end(run_dir: RunDir) -> None:
    """Whatever interrupted it then left nothing out."""
    verdicts = VerdictStore(run_dir)
    store(samples.valid(), run_dir.root, BAD.name)
    for point in (GOOD, BAD):
        verdicts.enter(point, verdict(Outcome.VALID))
    assert main(["check", "--quiet", str(run_dir.root)]) == 0


def test_check_without_a_reference_is_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sweep was interrupted before it had a yardstick, and it does not pass for one that came to its end."""
    RunDir(root=tmp_path).write_plan(without_points(PLAN))
    assert main(["check", "--quiet", str(tmp_path)]) == 3
    assert not RunDir(root=tmp_path).verdict_file.exists()
    assert "reference" in capsys.readouterr().out


def test_no_verdict_goes_where_a_link_leads(run_dir: RunDir, tmp_path: Path) -> None:
    """The folder of a point in somebody else's sweep may be a link to anywhere; all else is stored."""
    for point in (GOOD, BAD):
        VerdictStore(run_dir).enter(point, verdict(Outcome.UNKNOWN))
    outside = tmp_path.with_name("outside")
    run_dir.scenario(BAD.name).root.rename(outside)
    run_dir.scenario(BAD.name).root.symlink_to(outside)
    before = (outside / "verdict.json").read_bytes()
    assert main(["check", "--quiet", str(run_dir.root)]) == 1
    assert before == (outside / "verdict.json").read_bytes()
