"""Why a process has a different state than the uninterrupted run had at the same step."""

from __future__ import annotations

from resumable.launch.explain.reasons import (
    BuffersNotRestored,
    ComponentNotRestored,
    FollowsFromBatches,
    LearningRateDiffers,
    ModelNotRestored,
    Reason,
    ScaleNotRestored,
    SchedulerOffCount,
    SomeStateNotRestored,
)
from resumable.launch.explain.restored import was_meant
from resumable.launch.explain.unusable_checkpoints import why_wrong
from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life
from resumable.launch.reading.restoring import MUST_BE_RESTORED
from resumable.launch.reading.trajectory import BatchKey, TrainedStep


def explain_state_difference(evidence: Evidence, life: Life, number: int) -> Reason | None:
    """Why the state after step `number` of a process, from 0, is different; None if nothing tells."""
    from_batches = _different_batches(evidence, life, life.first_step + number)
    if from_batches is not None or life.resume is None:
        return from_batches
    return why_wrong(evidence.faulted, life) or _not_restored(evidence, life, number)


def _different_batches(evidence: Evidence, life: Life, step: int) -> Reason | None:
    """Of the process itself, or else of the rank of its group that first trained on different batches."""
    own = _first_different_batches(life, evidence)
    if own is not None and own <= step:
        return FollowsFromBatches()
    group = [other for other in evidence.faulted.lives if other.incarnation == life.incarnation]
    firsts = [(_first_different_batches(other, evidence), other.rank) for other in group]
    strays = [(first, rank) for first, rank in firsts if first is not None and first <= step]
    return FollowsFromBatches(rank=min(strays)[1]) if strays else None


def _not_restored(evidence: Evidence, life: Life, number: int) -> Reason:
    step, found = life.first_step + number, life.steps[number]
    wanted = evidence.expected[life.rank][step]
    if _only_buffers_differ(wanted, found):
        return BuffersNotRestored()
    if _only_losses_differ(wanted, found):
        return ScaleNotRestored(step=step)
    if number == 0 and (life.resume is None or life.resume.how != "parameters"):
        return ModelNotRestored()
    for start in evidence.starts:
        if start.life is life:
            for component in MUST_BE_RESTORED:
                if component in start.differing and not was_meant(evidence, start, component):
                    return ComponentNotRestored(component=component, is_lost=component in start.lost)
    if (
        wanted.record.learning_rate != found.record.learning_rate
    ):  # equal ones: a new scheduler may begin where the old one stood
        return _off_schedule(wanted, found)
    return SomeStateNotRestored(what="parameters" if wanted.after != found.after else "loss", step=step)


def _off_schedule(wanted: TrainedStep, found: TrainedStep) -> Reason:
    if wanted.record.scheduler_steps != found.record.scheduler_steps:
        return SchedulerOffCount(num_found=found.record.scheduler_steps, num_expected=wanted.record.scheduler_steps)
    return LearningRateDiffers(found=found.record.learning_rate, expected=wanted.record.learning_rate)


def _first_different_batches(life: Life, evidence: Evidence) -> int | None:
    """The first step in which a process trained on different batches than it should have."""
    expected = evidence.expected.get(life.rank, ())[life.first_step :][: len(life.steps)]
    number = first_difference(expected, life.steps[: len(expected)], key=_keys)
    return None if number is None else life.first_step + number


def _keys(step: TrainedStep) -> tuple[BatchKey, ...]:
    return step.keys


def _only_buffers_differ(wanted: TrainedStep, found: TrainedStep) -> bool:
    return (
        wanted.after == found.after and wanted.losses == found.losses and wanted.record.buffers != found.record.buffers
    )


def _only_losses_differ(wanted: TrainedStep, found: TrainedStep) -> bool:
    """Whether the parameters are known to be right all the same, so that their gradients were too."""
    is_known = wanted.after is not None
    return (
        is_known
        and (wanted.after, wanted.record.buffers) == (found.after, found.record.buffers)
        and wanted.losses != found.losses
    )
