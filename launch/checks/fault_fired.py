"""A fault that never happened proves nothing about the restart after it."""

from __future__ import annotations

from launch.checks.result import CheckResult, Violation, counted, listed, not_applicable, passed, unknown
from launch.death import Firing, firings
from launch.evidence import Evidence
from launch.faults import Fault, Point


def fault_fired(evidence: Evidence) -> CheckResult:
    """Every planned fault happened, once, to the right rank and at the right moment."""
    faults = evidence.scenario.faults
    if not faults and not evidence.references:
        return not_applicable("no fault was planned")
    if not faults:
        return unknown("no fault was planned, so nothing was interrupted and nothing is proved")
    fired = firings(evidence.faulted)
    problems = [(fault, _problem(fault, evidence, fired)) for fault in faults]
    violations = [
        Violation(sentence=f"{fault}: {problem}", rank=fault.rank) for fault, problem in problems if problem is not None
    ]
    if violations:
        return unknown(violations[0].sentence, violations)
    incarnations = sorted({firing.life.incarnation for firing in fired})
    return passed(f"{counted(len(faults), 'fault')}, in incarnation {listed(incarnations)}")


def _problem(fault: Fault, evidence: Evidence, fired: tuple[Firing, ...]) -> str | None:
    """What is wrong with one fault's evidence; None if it is as planned."""
    own = [firing for firing in fired if firing.fault == fault.number]
    if not own:
        return f"did not fire: {_why_not(fault, evidence)}"
    if len(own) > 1:
        return f"fired {len(own)} times"
    if fault.rank is not None and own[0].life.rank != fault.rank:
        return f"fired on rank {own[0].life.rank}"
    if not _is_in_time(fault, own[0]):
        return f"fired at another moment, when {counted(own[0].num_steps, 'step')} were done"
    return None


def _why_not(fault: Fault, evidence: Evidence) -> str:
    world_size = max(evidence.faulted.world_sizes, default=0)
    if not world_size:
        return "no rank was started"
    if fault.rank is not None and fault.rank >= world_size:
        return f"rank {fault.rank} does not exist among {counted(world_size, 'rank')}"
    timeline = next((timeline for timeline in evidence.faulted.timelines if timeline.rank == fault.rank), None)
    if timeline is None:
        return f"rank {fault.rank} recorded nothing"
    if timeline.lives[-1].trajectory.process.exit is None:
        return (
            f"the run ended after {counted(len(timeline.steps), 'step')} of rank {fault.rank}, before its moment came"
        )
    if fault.when.point is Point.RESUME and not any(life.incarnation for life in timeline.lives):
        return "there was no restart that it could follow"
    return f"training ended after {counted(len(timeline.steps), 'step')}"


def _is_in_time(fault: Fault, firing: Firing) -> bool:
    """Whether the steps that were done fit the plan; a moment counted in batches is left to the trigger."""
    number = fault.when.numbers[0]
    if fault.when.point is Point.STEP:
        return firing.num_steps == number + 1
    if fault.when.point is Point.RESUME:
        return firing.life.incarnation > 0 and len(firing.life.steps) == number
    return True
