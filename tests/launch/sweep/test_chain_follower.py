"""Points of a chain, each judged up to the end of the life behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.plan.plan import Plan, Restarts, Scenario, SweepSpec
from resumable.launch.reading.evidence import Evidence
from resumable.launch.sweep.chain_follower import ChainFollower
from resumable.launch.sweep.chains import chain_of, without_link
from resumable.launch.sweep.judge import PointJudge
from resumable.launch.sweep.review import review
from resumable.launch.sweep.verdict_store import VerdictStore
from tests.launch import histories
from tests.launch.histories import Job, Life, sigkill
from tests.launch.report import samples

JOB = Job(num_epochs=5)
RESTARTS = Restarts(nproc_per_node=JOB.world_size)
STEPS = (5, 9, 14)
"""Steps done at the kill of each point; the checkpoints are those of 4, 8 and 12 steps."""


def points() -> list[Scenario]:
    reference = Scenario(name="reference-1", nproc_per_start=(JOB.world_size,))
    return [RESTARTS.after((sigkill(step - 1),), name=f"point-{step}", reference=reference) for step in STEPS]


CHAIN = chain_of(list(zip(STEPS, points(), strict=True)), RESTARTS, number=1)


def lives(*, wrong: int | None = None, num_lives: int = 4) -> list[list[Life]]:
    """A job that is killed at each point; after one of the kills rank 1 leaves out a batch."""
    groups = [histories.killed(JOB, STEPS[0])]
    for number, (base, end) in enumerate(((4, STEPS[1]), (8, STEPS[2]), (12, None)), start=1):
        group = (
            histories.resumed(JOB, base)
            if end is None
            else [
                replace(life, loads=histories.path_of(base))
                for life in histories.killed(JOB, end, fault=number, base=base)
            ]
        )
        groups.append([_without_a_batch(life) if number == wrong and r == 1 else life for r, life in enumerate(group)])
    return groups[:num_lives]


def _without_a_batch(life: Life) -> Life:
    (first, *rest) = life.epochs
    return replace(life, epochs=[first[1:], *rest])


def sweep(root: Path, groups: Sequence[Sequence[Life]], chain: Scenario = CHAIN) -> tuple[Plan, RunDir]:
    """The chain's evidence in a run directory."""
    evidence: Evidence = histories.evidence(JOB, groups, chain.faults)
    plan = msgspec.structs.replace(
        evidence.plan,
        command="sweep",
        scenarios=(*evidence.plan.references, *points(), chain),
        sweep=SweepSpec(restarts=RESTARTS, num_points=3, is_chained=True),
    )
    history = evidence.faulted.history
    processes = [msgspec.structs.replace(p, file=p.file.replace("faulted", CHAIN.name)) for p in history.processes]
    renamed = msgspec.structs.replace(history, name=CHAIN.name, processes=tuple(processes))
    faulted = msgspec.structs.replace(evidence.faulted, history=renamed)
    return plan, samples.stored(msgspec.structs.replace(evidence, plan=plan, faulted=faulted), root)


def follower(plan: Plan, run_dir: RunDir) -> ChainFollower:
    return ChainFollower(CHAIN, run_dir.scenario(CHAIN.name), PointJudge.of(plan, run_dir))


def told(follower: ChainFollower, *, has_ended: bool) -> dict[str, str]:
    return {name: verdict.outcome for name, verdict in follower.advance(has_ended=has_ended)}


def test_each_point_of_a_good_chain_is_valid(tmp_path: Path) -> None:
    """The last one up to the end of the job, the others up to the next kill, each with its own two lives."""
    verdicts = dict(follower(*sweep(tmp_path, lives())).advance(has_ended=True))
    assert dict.fromkeys(("point-5", "point-9", "point-14"), Outcome.VALID) == {
        name: verdict.outcome for name, verdict in verdicts.items()
    }, verdicts
    assert [(verdict.chain, verdict.until) for verdict in verdicts.values()] == [
        ("chain-0001", 9),
        ("chain-0001", 14),
        ("chain-0001", None),
    ]
    shown = [[one.number for one in verdict.incarnations] for verdict in verdicts.values()]
    assert shown == [[0, 1], [1, 2], [2, 3]]
    assert [len(verdict.fired_faults) for verdict in verdicts.values()] == [1, 1, 1]


@pytest.mark.parametrize(("num_lives", "expected"), [(1, []), (2, []), (3, ["point-5"]), (4, ["point-5", "point-9"])])
def test_a_point_is_judged_once_the_life_behind_it_is_over(tmp_path: Path, num_lives: int, expected: list[str]) -> None:
    """That is when the next one has begun."""
    assert expected == list(told(follower(*sweep(tmp_path, lives(num_lives=num_lives))), has_ended=False))


@pytest.mark.parametrize(
    ("wrong", "expected"), [(1, ["invalid"]), (2, ["valid", "invalid"]), (3, ["valid", "valid", "invalid"])]
)
def test_what_comes_behind_a_point_that_failed_is_not_judged(tmp_path: Path, wrong: int, expected: list[str]) -> None:
    """The point that failed is the one whose restart did it, and no other."""
    following = follower(*sweep(tmp_path, lives(wrong=wrong)))
    assert expected == list(told(following, has_ended=True).values())
    assert following.is_broken
    assert told(following, has_ended=True) == {}


@pytest.mark.parametrize(("wrong", "expected", "failed"), [(None, ["valid"], None), (1, [], None), (2, ["invalid"], 1)])
def test_a_chain_that_goes_on_shows_first_that_it_does(
    tmp_path: Path, wrong: int | None, expected: list[str], failed: int | None
) -> None:
    """The first life of its own does what the other's did there, or the points behind it have not failed."""
    chain = without_link(CHAIN, 1, name=CHAIN.name)
    assert chain is not None
    groups = lives(wrong=wrong)
    second = histories.killed(JOB, STEPS[2], fault=1, base=4)
    second = [replace(life, loads=histories.path_of(4)) for life in second]
    groups = [groups[0], [_without_a_batch(second[0]), *second[1:]] if wrong == 1 else second, groups[3]]
    if wrong == 2:
        groups[2] = [_without_a_batch(groups[2][0]), *groups[2][1:]]
    plan, run_dir = sweep(tmp_path, groups, chain)
    following = ChainFollower(chain, run_dir.scenario(chain.name), PointJudge.of(plan, run_dir))
    assert expected == list(told(following, has_ended=True).values())
    assert (following.is_broken, following.failed) == (wrong is not None, failed)


def test_a_job_that_ends_before_its_next_point_has_failed_there(tmp_path: Path) -> None:
    """Whatever it had done right by then."""
    following = follower(*sweep(tmp_path, lives(num_lives=2)))
    assert (list(told(following, has_ended=True).values()), following.is_broken) == (["unknown"], True)


def test_check_judges_a_point_from_the_chain_in_which_it_was_hit(tmp_path: Path) -> None:
    """It says what was said when it was run."""
    plan, run_dir = sweep(tmp_path, lives(wrong=2))
    verdicts = dict(follower(plan, run_dir).advance(has_ended=True))
    for name, verdict in verdicts.items():
        VerdictStore(run_dir).enter(plan.scenario(name), verdict)
    assert verdicts == review(plan, run_dir)


def test_a_point_that_failed_in_a_chain_and_not_alone_failed_only_once(tmp_path: Path) -> None:
    """Nothing is proved by what does not happen again."""
    plan, run_dir = sweep(tmp_path, lives(wrong=1))
    [(name, verdict)] = follower(plan, run_dir).advance(has_ended=True)
    VerdictStore(run_dir).enter(plan.scenario(name), verdict)
    alone = histories.one_kill(JOB)
    history = alone.faulted.history
    processes = [msgspec.structs.replace(p, file=p.file.replace("faulted", name)) for p in history.processes]
    renamed = msgspec.structs.replace(history, name=name, processes=tuple(processes))
    faulted = msgspec.structs.replace(alone.faulted, history=renamed)
    samples.stored(msgspec.structs.replace(alone, plan=plan, faulted=faulted), tmp_path)
    found = review(plan, run_dir)[name]
    assert (found.outcome, found.confirmation) == (Outcome.UNKNOWN, "only once")
