"""With which learning rates a process went on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from resumable.launch.explain.check_result import Violation, violation_of
from resumable.launch.explain.codes.optimizer_reasons import (
    RateSetBeside,
    SchedulerOffCount,
)
from resumable.launch.explain.codes.state_problems import RateDiffers
from resumable.launch.explain.codes.state_reasons import ComponentNotRestored
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.explain.witnesses import SAME_RATE, first_different_batches, had_left, witnesses_of
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life
from resumable.launch.reading.step_table import known
from resumable.launch.reading.steps import Steps


def rate_violation(evidence: Evidence, life: Life, *, has_scheduler: bool) -> Violation | None:
    """The first step that was done with a different learning rate than before, or in all references.

    Where a process trains on the wrong batches it may be in a different place, and rates follow from that.

    Args:
        evidence: All that is known.
        life: The process.
        has_scheduler: Its scheduler was restored: what that makes of later losses is its own.
    """
    num_right = 0 if had_left(evidence, life, "lr") else num_right_steps(evidence, life, has_scheduler=has_scheduler)
    witnesses = [(steps.figures("rates"), life.first_step - first) for first, steps in witnesses_of(evidence, life)]
    for number, own in enumerate(life.steps.figures("rates")[:num_right]):
        found = known(own)
        expected = {known(rates[place]) for rates, begin in witnesses if 0 <= (place := begin + number) < len(rates)}
        if found is None or len(expected) != 1:
            continue
        [rate] = expected
        if rate is not None and not math.isclose(rate, found, rel_tol=SAME_RATE):
            problem = RateDiffers(
                rank=life.rank, incarnation=life.incarnation, step=life.first_step + number, found=found, expected=rate
            )
            why = _why(evidence, life, number, has_scheduler=has_scheduler)
            return violation_of(life, problem, why, step=life.first_step + number, line=life.steps[number].line)
    return None


def may_follow_from_losses(evidence: Evidence, life: Life, undisturbed: Sequence[object]) -> bool:
    """Whether a script may have set something by its losses, which are never the same, where it has no scheduler.

    Args:
        evidence: All that is known.
        life: The process.
        undisturbed: What a reference had from the first step of the process on, up to the first that is different. What it
            had for two steps it may have had for as long by accident.
    """
    has_scheduler = life.steps[0].record.scheduler_steps is not None
    stands_still = any(one == other for one, other in pairwise(undisturbed))
    return not evidence.numbers_repeat and not has_scheduler and stands_still


def num_right_steps(evidence: Evidence, life: Life, *, has_scheduler: bool) -> int:
    """How many steps of a process are in their place, and can be judged by what they were made with."""
    stray = first_different_batches(evidence, life)
    num_right = len(life.steps) if stray is None else stray - life.first_step
    return min(num_right, 1) if has_scheduler else num_right


def _why(evidence: Evidence, life: Life, number: int, *, has_scheduler: bool) -> Reason:
    """What the scheduler had counted, if that is known and different."""
    wanted = evidence.wanted(life)[number:][:1]
    counts = [step.record.scheduler_steps for step in (*wanted, life.steps[number])]
    if None not in counts and len(set(counts)) > 1:
        return SchedulerOffCount(num_found=counts[-1], num_expected=counts[0], is_as_saved=has_scheduler)
    if any(counts) and not has_scheduler:
        return ComponentNotRestored(component="rate")
    return RateSetBeside(has_scheduler=has_scheduler)


def has_first_schedule(evidence: Evidence, life: Life) -> bool:
    """Whether the learning rates of a process are once more those that the job began with, or change as those did.

    That is looked at from its second step on: the first may have the rate that the optimizer kept. A job may well make a
    new scheduler for a different number of ranks: one that goes on has different rates, and rates that recur do so in the
    uninterrupted run too.
    """
    if life.first_step == 0 or life.steps[0].record.scheduler_steps != 0 or not evidence.references:
        return False
    first = next(other for other in evidence.faulted.lives if other.rank == life.rank)
    undisturbed = evidence.references[0].timelines[0].steps
    num_steps = min(len(first.steps), len(life.steps))
    begun, found = _curves(first.steps[1:num_steps]), _curves(life.steps[1:num_steps])
    expected = _curves(undisturbed[life.first_step + 1 : life.first_step + num_steps])
    return any(map(_begins_once_more, begun, found, expected))


def _curves(steps: Steps) -> tuple[list[float], list[float]]:
    """The learning rates, and by what each is multiplied to give the next."""
    rates = [step.record.learning_rate or 0.0 for step in steps]
    return rates, [later / earlier if earlier else 0.0 for earlier, later in pairwise(rates)]


def _begins_once_more(begun: list[float], found: list[float], expected: list[float]) -> bool:
    is_constant = _are_same(begun, begun[:1] * len(begun))
    return not is_constant and _are_same(found, begun) and not _are_same(found, expected)


def _are_same(one: list[float], other: list[float]) -> bool:
    """As far as both go."""
    return all(math.isclose(a, b, rel_tol=SAME_RATE) for a, b in zip(one, other, strict=False))
