"""Sweeps in memory: a plan whose references are run, the length that they showed, and verdicts."""

from __future__ import annotations

from resumable.launch.explain.codes.batch_problems import BatchDiffers
from resumable.launch.explain.codes.statement import Problem
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Cause, Verdict
from resumable.launch.plan.plan import Plan, Restarts, Scenario, Script, SweepSpec
from resumable.launch.plan.topology import Topology
from resumable.launch.sweep.points import with_points
from resumable.launch.sweep.training_length import RankLength, TrainingLength

BATCHES = {(epoch, batch): 4 * epoch + batch for epoch in range(3) for batch in range(4)}
LENGTH = TrainingLength(
    ranks={
        0: RankLength(num_steps=12, batches=BATCHES, saves=(4, 8, 12)),
        1: RankLength(num_steps=12, batches=BATCHES, saves=()),
    }
)


def spec(**changes: str | int | bool) -> SweepSpec:
    return SweepSpec(restarts=Restarts(nproc_per_node=2), **changes)


def plan(sweep: SweepSpec, *, seed: int = 0) -> Plan:
    """The plan before its points are drawn."""
    return Plan(
        command="sweep",
        script=Script(path="train.py"),
        torchrun={"redirects": "3"},
        topology=Topology(),
        scenarios=tuple(Scenario(name=f"reference-{number}", nproc_per_start=(2,)) for number in (1, 2)),
        seed=seed,
        sweep=sweep,
    )


def drawn(*, seed: int = 0, **changes: str | int) -> Plan:
    """The plan with its points."""
    return with_points(plan(spec(**changes), seed=seed), LENGTH)


def faults(made: Plan) -> set[str]:
    """The faults of every point, as the command line takes them."""
    return {" ".join(map(str, point.faults)) for point in made.points}


def verdict(outcome: Outcome, problem: Problem | None = None, *, scenario: str = "") -> Verdict:
    cause = None if problem is None else Cause(problem=problem)
    reason = str(problem or "")
    return Verdict(
        outcome=outcome, reason=reason, cause=cause, scenario=scenario, incarnations=(), fired_faults=(), checks=()
    )


def skipped(batch: int) -> Problem:
    """Points that differ in the batch have one cause."""
    return BatchDiffers(rank=1, epoch=0, batch=batch)
