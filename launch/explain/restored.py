"""Optimizers and schedulers that were not restored: the first step of a process shows it, on any number of ranks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from resumable.launch.reading.checkpoints import loaded_by
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.trajectory import Steps


def has_new_optimizer(evidence: Evidence, life: Life) -> bool:
    """Whether a process went on with an optimizer as new, in a job where that happens in the very first step only."""
    is_habit = any(step.record.has_new_optimizer for steps in _undisturbed(evidence) for step in steps[1:])
    return life.first_step > 0 and life.steps[0].record.has_new_optimizer and not is_habit


def has_first_schedule(evidence: Evidence, life: Life) -> bool:
    """Whether the learning rates of a process are once more those that the job began with, or change as those did.

    That is looked at from its second step on: the first may have the rate that the optimizer kept. A job may well make a
    new scheduler for a different number of ranks: one that goes on has different rates, and rates that recur do so in the
    uninterrupted run too.
    """
    if life.first_step == 0 or life.steps[0].record.scheduler_steps != 0:
        return False
    first = next(other for other in evidence.faulted.lives if other.rank == life.rank)
    undisturbed = next(_undisturbed(evidence))
    num_steps = min(len(first.steps), len(life.steps))
    begun, found = _curves(first.steps[1:num_steps]), _curves(life.steps[1:num_steps])
    expected = _curves(undisturbed[life.first_step + 1 : life.first_step + num_steps])
    return any(map(_begins_once_more, begun, found, expected))


def _curves(steps: Steps) -> tuple[list[float], list[float]]:
    """The learning rates, and by what each is multiplied to give the next."""
    rates = [step.record.learning_rate or 0.0 for step in steps]
    return rates, [round(later / earlier, 9) if earlier else 0.0 for earlier, later in pairwise(rates)]


def _begins_once_more(begun: list[float], found: list[float], expected: list[float]) -> bool:
    return found == begun and len(set(begun)) > 1 and found[: len(expected)] != expected


def _undisturbed(evidence: Evidence) -> Iterator[Steps]:
    return (timeline.steps for run in evidence.references for timeline in run.timelines)


def has_loaded(run: Run, incarnation: int) -> bool:
    """Whether any rank of a group read a checkpoint; parameters that never change seem to be of any step."""
    return any(any(loaded_by(life.trajectory)) for life in run.lives if life.incarnation == incarnation)
