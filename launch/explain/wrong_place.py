"""How far a rank went on from its place in the right epoch, and in which unit its count of batches would be that."""

from __future__ import annotations

from resumable.launch.explain.codes.place_reasons import BatchesReplayed, BatchesSkipped, EpochRestarted, SkipCause
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.explain.first_wrong_epoch import FirstWrongEpoch


def replayed(wrong: FirstWrongEpoch, batch: int) -> Reason:
    """Why it went on with a batch before its place."""
    if batch == 0:
        return EpochRestarted(epoch=wrong.epoch, batch=wrong.start)
    is_in_steps = batch == _num_steps_done(wrong)
    return BatchesReplayed(
        num=wrong.start - batch,
        batch=batch,
        num_done=wrong.start,
        is_in_samples=not is_in_steps and is_skip_in_samples(wrong, batch * wrong.comparison.batch_size),
        is_in_steps=is_in_steps,
    )


def skipped(wrong: FirstWrongEpoch, batch: int) -> Reason:
    """Why it went on with a batch behind its place."""
    return BatchesSkipped(
        epoch=wrong.epoch,
        num=batch - wrong.start,
        num_done=wrong.start,
        batch=batch,
        cause=_skip_cause(wrong, batch),
    )


def is_skip_in_samples(wrong: FirstWrongEpoch, sample: int) -> bool:
    """Whether a rank that begins at this sample of its own skipped samples, its own or all ranks', for batches."""
    return sample > 0 and sample in (wrong.start, wrong.start // len(wrong.comparison.expected))


def _skip_cause(wrong: FirstWrongEpoch, batch: int) -> SkipCause:
    """What was recorded; else a unit in which the right count gives just this number: a hint, and worded as one."""
    num, start = batch - wrong.start, wrong.start
    if num == wrong.comparison.num_accumulated:
        return "accumulation"
    if num == wrong.comparison.num_ahead:
        return "fetched ahead"
    if start and batch == start * wrong.comparison.num_sharing:
        return "of all workers"
    if 0 < num <= wrong.comparison.num_read_ahead:
        return "read ahead"
    causes: dict[int, SkipCause] = {
        start * len(wrong.comparison.expected): "of all ranks",
        start * wrong.comparison.batch_size: "in samples",
        2 * start: "twice",
    }
    return causes.get(batch, "unknown") if start else "unknown"


def _num_steps_done(wrong: FirstWrongEpoch) -> int:
    """Optimizer steps in which the batches before the right one were trained on."""
    done = wrong.comparison.expected[wrong.comparison.rank][: wrong.comparison.first_step]
    return sum(any(batch.epoch == wrong.epoch for batch in step.batches) for step in done)
