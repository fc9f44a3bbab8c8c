"""Optimizers and schedulers that were not restored: the first step of a process shows it, on any number of ranks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from resumable.launch.explain.at_resume import at_resume
from resumable.launch.reading.checkpoints import loaded_by
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.outcome import CheckResult, Violation, failed, not_applicable, passed
from resumable.launch.reading.trajectory import Steps
from resumable.launch.system.wording import counted

_OTHER_ORDER = "the number of ranks changed, so gradients are summed in another order"


def all_restored(evidence: Evidence) -> CheckResult:
    """After a restart each process goes on with the state of its optimizers and schedulers."""
    resumed = [life for life in evidence.faulted.resumed if life.first_step]
    violations = [violation for life in resumed for violation in _violations(evidence, life)]
    if violations:
        return failed(violations[0].sentence, violations)
    restarts = {life.incarnation for life in resumed if life.resume is not None and life.resume.how == "parameters"}
    if not restarts:
        return not_applicable(_OTHER_ORDER)
    return passed(
        f"{counted(len(restarts), 'restart')} from parameters as they were, none with a new optimizer or schedule; "
        f"{_OTHER_ORDER} then"
    )


def goes_on_with_new_optimizer(evidence: Evidence, life: Life) -> bool:
    """Whether a process went on with an optimizer as new, in a job where that happens in the very first step only."""
    is_habit = any(step.has_new_optimizer for steps in _undisturbed(evidence) for step in steps[1:])
    return life.first_step > 0 and life.steps[0].has_new_optimizer and not is_habit


def goes_on_with_first_schedule(evidence: Evidence, life: Life) -> bool:
    """Whether the learning rates of a process are once more those that the job began with, or change as those did.

    That is looked at from its second step on: the first may have the rate that the optimizer kept. A job may well make a
    new scheduler for another number of ranks: one that goes on has other rates, and rates that recur do so in the
    uninterrupted run too.
    """
    if life.first_step == 0 or life.steps[0].scheduler_steps != 0:
        return False
    first = next(other for other in evidence.faulted.lives if other.rank == life.rank)
    undisturbed = next(_undisturbed(evidence))
    num_steps = min(len(first.steps), len(life.steps))
    begun, found = _curves(first.steps[1:num_steps]), _curves(life.steps[1:num_steps])
    expected = _curves(undisturbed[life.first_step + 1 : life.first_step + num_steps])
    return any(map(_begins_once_more, begun, found, expected))


def _curves(steps: Steps) -> tuple[list[float], list[float]]:
    """The learning rates, and by what each is multiplied to give the next."""
    rates = [step.learning_rate or 0.0 for step in steps]
    return rates, [round(later / earlier, 9) if earlier else 0.0 for earlier, later in pairwise(rates)]


def _begins_once_more(begun: list[float], found: list[float], expected: list[float]) -> bool:
    return found == begun and len(set(begun)) > 1 and found[: len(expected)] != expected


def _undisturbed(evidence: Evidence) -> Iterator[Steps]:
    return (timeline.steps for run in evidence.references for timeline in run.timelines)


def _violations(evidence: Evidence, life: Life) -> Iterator[Violation]:
    if not _has_loaded(evidence.faulted, life.incarnation):
        return
    where = f"rank {life.rank} in incarnation {life.incarnation} goes on from step {life.first_step}"
    if goes_on_with_new_optimizer(evidence, life):
        sentence = f"{where} with an optimizer that has no state"
        yield at_resume(life, sentence, "is the optimizer's state saved and loaded?")
    if goes_on_with_first_schedule(evidence, life):
        sentence = f"{where} with the learning rates that the job began with"
        yield at_resume(life, sentence, "is the scheduler's state saved and loaded?")


def _has_loaded(run: Run, incarnation: int) -> bool:
    """Whether any rank of a group read a checkpoint; parameters that never change seem to be of any step."""
    return any(any(loaded_by(life.trajectory)) for life in run.lives if life.incarnation == incarnation)
