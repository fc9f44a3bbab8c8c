"""Optimizers that were not restored: the first step of a process shows it, on any number of ranks."""

from __future__ import annotations

from collections.abc import Iterator

from launch.checkpoint import loaded_by
from launch.checks.result import CheckResult, Violation, counted, failed, not_applicable, passed
from launch.checks.resumed import at_resume
from launch.evidence import Evidence
from launch.timeline import Life, Run

_OTHER_ORDER = "the number of ranks changed, so gradients are summed in another order"


def optimizers_restored(evidence: Evidence) -> CheckResult:
    """After a restart each process goes on with the optimizer's state."""
    resumed = [life for life in evidence.faulted.lives if life.resume is not None and life.first_step]
    violations = [violation for life in resumed for violation in _violations(evidence, life)]
    if violations:
        return failed(violations[0].sentence, violations)
    restarts = {life.incarnation for life in resumed if life.resume is not None and life.resume.how == "parameters"}
    if not restarts:
        return not_applicable(_OTHER_ORDER)
    return passed(
        f"{counted(len(restarts), 'restart')} from parameters as they were, none with a new optimizer; {_OTHER_ORDER} then"
    )


def goes_on_with_new_optimizer(evidence: Evidence, life: Life) -> bool:
    """Whether a process went on with an optimizer as new, in a job where that happens in the very first step only."""
    undisturbed = [timeline.steps for run in evidence.references for timeline in run.timelines]
    is_habit = any(step.has_new_optimizer for steps in undisturbed for step in steps[1:])
    return life.first_step > 0 and life.steps[0].has_new_optimizer and not is_habit


def _violations(evidence: Evidence, life: Life) -> Iterator[Violation]:
    if goes_on_with_new_optimizer(evidence, life) and _has_loaded(evidence.faulted, life.incarnation):
        where = f"rank {life.rank} in incarnation {life.incarnation}"
        sentence = f"{where} goes on from step {life.first_step} with an optimizer that has no state"
        yield at_resume(life, sentence, "is the optimizer's state saved and loaded?")


def _has_loaded(run: Run, incarnation: int) -> bool:
    """Whether any rank of a group read a checkpoint; parameters that never change seem to be of any step."""
    return any(any(loaded_by(life.trajectory)) for life in run.lives if life.incarnation == incarnation)
