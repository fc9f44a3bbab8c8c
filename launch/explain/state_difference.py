"""Why a process has a different state than the uninterrupted run had at the same step."""

from __future__ import annotations

from resumable.launch.explain.codes.optimizer_reasons import (
    LearningRateDiffers,
    SchedulerOffCount,
    UpdateDiffers,
    UpdateLeftOut,
)
from resumable.launch.explain.codes.state_reasons import (
    BuffersNotRestored,
    FollowsFromBatches,
    FollowsFromParameters,
    FollowsFromRank,
    GeneratorsElsewhere,
    InputsDiffer,
    ModelNotRestored,
    RandomStateOfRanks,
    SavedInPassing,
    ScaleNotRestored,
    SomeStateNotRestored,
)
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.explain.settings import setting_violation
from resumable.launch.explain.start_difference import first_not_restored
from resumable.launch.explain.unusable_checkpoints import why_wrong
from resumable.launch.explain.witnesses import first_different_batches, strayed_generators
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.group_states import start_state
from resumable.launch.reading.lives import Life
from resumable.launch.reading.repeatability import first_different_state
from resumable.launch.reading.start_states import Start
from resumable.launch.reading.trained import TrainedStep


def explain_state_difference(evidence: Evidence, life: Life, number: int) -> Reason | None:
    """Why the state after step `number` of a process, from 0, is different; None if nothing tells."""
    from_batches = _different_batches(evidence, life, life.first_step + number)
    if from_batches is not None or life.resume is None:
        return from_batches
    return (
        _different_rank(evidence, life, life.first_step + number)
        or why_wrong(evidence.faulted, life)
        or _not_restored(evidence, life, number)
    )


def _different_batches(evidence: Evidence, life: Life, step: int) -> Reason | None:
    """Of the process itself, or else of the rank of its group that first trained on different batches."""
    own = first_different_batches(evidence, life)
    if own is not None and own <= step:
        return FollowsFromBatches()
    group = evidence.faulted.group(life.incarnation)
    firsts = [(first_different_batches(evidence, other), other.rank) for other in group]
    strays = [(first, rank) for first, rank in firsts if first is not None and first <= step]
    return FollowsFromBatches(rank=min(strays)[1]) if strays else None


def _different_rank(evidence: Evidence, life: Life, step: int) -> Reason | None:
    """Another rank of the group whose state is different since an earlier step."""
    for other in evidence.faulted.group(life.incarnation):
        number = first_different_state(evidence.wanted(other), other.steps)
        if number is not None and other.first_step + number < step:
            return FollowsFromRank(rank=other.rank)
    return None


def _not_restored(evidence: Evidence, life: Life, number: int) -> Reason:
    """What differs first tells: the loss comes before the update, and what the update is made of before its result."""
    step, found = life.first_step + number, life.steps[number]
    wanted = evidence.expected[life.rank][step]
    if _only_buffers_differ(wanted, found):
        return BuffersNotRestored()
    if _only_losses_differ(wanted, found):
        return (
            ScaleNotRestored(step=step)
            if _may_be_scaled(life)
            else _not_loaded(evidence, life) or _inputs_differ(evidence, life, step)
        )
    if number == 0 and not _has_its_parameters(evidence, life):
        return ModelNotRestored()
    if number == 0 and _was_saved_in_passing(evidence, life):
        return SavedInPassing()
    return (
        _not_loaded(evidence, life)
        or _not_loaded_by_others(evidence, life)
        or _of_earlier_life(evidence, life, number)
        or _of_setting(evidence, life, number)
        or _of_losses(evidence, life, number)
        or _of_update(evidence, life, number)
    )


def _may_be_scaled(life: Life) -> bool:
    """Whether the process has a gradient scaler, as far as anybody knows."""
    state = start_state(life)
    return state is None or "scaler" in state.components


def _start_of(evidence: Evidence, life: Life) -> Start | None:
    return next((start for start in evidence.starts if start.life is life), None)


def _not_loaded(evidence: Evidence, life: Life) -> Reason | None:
    """A component of the state that the process began with, and that is not what the run had saved."""
    start = _start_of(evidence, life)
    return None if start is None else first_not_restored(evidence, start)


def _not_loaded_by_others(evidence: Evidence, life: Life) -> Reason | None:
    """Of a rank that saved nothing itself, nobody knows some of what it had; it shares the gradients of those that did."""
    group = evidence.faulted.group(life.incarnation)
    return next(filter(None, (_not_loaded(evidence, other) for other in group)), None)


def _of_setting(evidence: Evidence, life: Life, number: int) -> Reason | None:
    """Of what the optimizer was set to up to this step."""
    violation = setting_violation(evidence, life, has_scheduler=False)
    is_before = violation is not None and violation.step is not None and violation.step <= life.first_step + number
    return violation.reason if violation is not None and is_before else None


def _of_update(evidence: Evidence, life: Life, number: int) -> Reason:
    step, found = life.first_step + number, life.steps[number]
    wanted = evidence.expected[life.rank][step]
    if wanted.record.learning_rate != found.record.learning_rate:  # a new scheduler may begin where the old one stood
        return _off_schedule(wanted, found)
    if number == 0 and found.losses and None not in found.losses and wanted.after != found.after:
        if found.after == found.before:
            return UpdateLeftOut(step=step)
        start = _start_of(evidence, life)
        return UpdateDiffers(
            step=step,
            is_optimizer_right=_has_its_optimizer(start),
            has_optimizer_state=start is not None and "optimizer" in start.equal,
        )
    return SomeStateNotRestored(what="parameters" if wanted.after != found.after else "loss", step=step)


def _has_its_parameters(evidence: Evidence, life: Life) -> bool:
    """Whether a process began with parameters that the job had; of some a forward pass may be what changed them."""
    start = _start_of(evidence, life)
    is_proved = start is not None and "parameters" in start.equal
    return is_proved or (life.resume is not None and life.resume.how == "parameters")


def _was_saved_in_passing(evidence: Evidence, life: Life) -> bool:
    """Whether it began with parameters that the job had while it saved, and not after the step before."""
    start = _start_of(evidence, life)
    return start is not None and start.is_passing


def _of_earlier_life(evidence: Evidence, life: Life, number: int) -> Reason | None:
    """What the process that did the step before had lost: different parameters than the uninterrupted run had then."""
    step = life.first_step - 1
    doer = evidence.faulted.doer(life.rank, step, before=life.incarnation)
    if number > 0 or doer is None:
        return None
    pair = evidence.expected[life.rank][step].after, doer.steps[step - doer.first_step].after
    return FollowsFromParameters() if None not in pair and pair[0] != pair[1] else None


def _has_its_optimizer(start: Start | None) -> bool:
    """Whether the optimizer began with what this run had of it at the save, be it nothing."""
    return start is not None and "parameters" in start.equal and "optimizer" not in start.differing


def _of_losses(evidence: Evidence, life: Life, number: int) -> Reason | None:
    """What a different loss before the first different update tells: samples and parameters were right then."""
    step = life.first_step + number
    before = life.steps[number - 1].after if number else life.steps[0].before
    if before is None:
        return None
    group = evidence.faulted.group(life.incarnation)
    known = {other.rank: _losses_at(evidence, other, step) for other in group}
    differing = tuple(rank for rank, pair in known.items() if pair is not None and pair[0] != pair[1])
    if not differing:
        return None
    if number == 0 and len(differing) < len(known):
        return RandomStateOfRanks(ranks=differing, step=step)
    return _inputs_differ(evidence, life, step)


def _inputs_differ(evidence: Evidence, life: Life, step: int) -> Reason:
    """Of a rank that saved nothing nobody knows what its generator was; what holds of the others is likely its cause too."""
    group = [life, *evidence.faulted.group(life.incarnation)]
    starts = [start for start in (_start_of(evidence, other) for other in group) if start is not None]
    if generators := next(filter(None, (strayed_generators(evidence, start) for start in starts)), None):
        return GeneratorsElsewhere(names=generators)
    is_right = next((is_right for is_right in map(_is_generator_right, starts) if is_right is not None), False)
    return InputsDiffer(step=step, is_generator_right=is_right, is_later=step > life.first_step)


def _is_generator_right(start: Start) -> bool | None:
    """Whether torch's generator was as at the save; None if that is not known."""
    if "random" not in start.equal | start.differing.keys():
        return None
    return "random" in start.equal or "torch" not in start.differing["random"].names


def _losses_at(evidence: Evidence, life: Life, step: int) -> tuple[str, str] | None:
    """The losses of a step of a rank, expected and found; None where they are not known."""
    wanted = evidence.expected.get(life.rank, ())[step : step + 1]
    found = life.steps[step - life.first_step :][:1] if step >= life.first_step else ()
    if not wanted or not found or None in wanted[0].losses or None in found[0].losses or not found[0].losses:
        return None
    return repr(wanted[0].losses), repr(found[0].losses)


def _off_schedule(wanted: TrainedStep, found: TrainedStep) -> Reason:
    if wanted.record.scheduler_steps != found.record.scheduler_steps:
        return SchedulerOffCount(num_found=found.record.scheduler_steps, num_expected=wanted.record.scheduler_steps)
    return LearningRateDiffers(found=found.record.learning_rate, expected=wanted.record.learning_rate)


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
