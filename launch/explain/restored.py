"""Whether a process was meant to go on with something else than what was saved, and with which learning rates it went on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from resumable.launch.explain.reasons import ComponentNotRestored
from resumable.launch.explain.result import Violation
from resumable.launch.explain.state_problems import RateDiffers
from resumable.launch.reading.checkpoints import loaded_by
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.restoring import Start
from resumable.launch.reading.step_table import known
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import TrainedStep

_SAME_RATE = 1e-6
"""Relative: a rate that is computed from the step may be rounded differently from one that is multiplied step by step."""


def was_meant(evidence: Evidence, start: Start, component: str) -> bool:
    """Whether a component that differs from the save is nevertheless what the job has at this step.

    A script may load weights and begin with a new optimizer, or make one in the middle of training: then it does so in
    its uninterrupted run too. And what makes no difference in the step that follows is no loss.
    """
    life = start.life
    witnesses = list(_same_step(evidence, life))
    if component == "gradients":  # a job may do the micro-batches of the window again instead
        return not witnesses or any(witness.keys == life.steps[0].keys for witness in witnesses)
    if component == "optimizer" and component in start.lost and any(w.record.has_new_optimizer for w in witnesses):
        return True
    found = life.steps[0]
    is_visible = component in start.plain and bool(found.record.components)
    return is_visible and any(
        (found.record.components, found.losses) == (w.record.components, w.losses) for w in witnesses
    )


def rate_violation(evidence: Evidence, life: Life) -> Violation | None:
    """The first step that was done with a different learning rate than before, or in all references."""
    witnesses = [(steps.figures("rates"), life.first_step - first) for first, steps in _witnesses(evidence, life)]
    for number, own in enumerate(life.steps.figures("rates")):
        found = known(own)
        expected = {known(rates[place]) for rates, begin in witnesses if 0 <= (place := begin + number) < len(rates)}
        if found is None or len(expected) != 1:
            continue
        [rate] = expected
        if rate is not None and not math.isclose(rate, found, rel_tol=_SAME_RATE):
            problem = RateDiffers(
                rank=life.rank, incarnation=life.incarnation, step=life.first_step + number, found=found, expected=rate
            )
            return Violation(
                problem=problem,
                reason=ComponentNotRestored(component="rate"),
                rank=life.rank,
                incarnation=life.incarnation,
                step=life.first_step + number,
                file=life.process.file,
                line=life.steps[number].line,
            )
    return None


def _same_step(evidence: Evidence, life: Life) -> Iterator[TrainedStep]:
    """The step that a process did first, as its rank had done it before, and as it is done in the references."""
    for first, steps in _witnesses(evidence, life):
        if first <= life.first_step < first + len(steps):
            yield steps[life.first_step - first]


def _witnesses(evidence: Evidence, life: Life) -> Iterator[tuple[int, Steps]]:
    """Steps of this rank in earlier processes, but for the first after each start, and in the references.

    Each with the number of the first, since training began.
    """
    for other in evidence.faulted.lives:
        if other.rank == life.rank and other.incarnation < life.incarnation:
            yield other.first_step + 1, other.steps[1:]
    for reference in evidence.references:
        timeline = reference.timeline(life.rank)
        if timeline is not None:
            yield 0, timeline.steps


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
    return rates, [round(later / earlier, 9) if earlier else 0.0 for earlier, later in pairwise(rates)]


def _begins_once_more(begun: list[float], found: list[float], expected: list[float]) -> bool:
    return found == begun and len(set(begun)) > 1 and found[: len(expected)] != expected


def has_loaded(run: Run, incarnation: int) -> bool:
    """Whether any rank of a group read a checkpoint; parameters that never change seem to be of any step."""
    return any(any(loaded_by(life.trajectory)) for life in run.group(incarnation))
