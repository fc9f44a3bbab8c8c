"""In which epoch a process goes on: as the uninterrupted run has it, else as it was the first time, else in the next one."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import TrainedBatch
from resumable.launch.reading.trajectory import Trajectory


def epoch_shift(
    trajectory: Trajectory,
    first_step: int,
    *,
    num_open: int,
    known: Iterable[Steps],
    done: Steps,
    latest: Collection[Trajectory],
) -> int:
    """By how much the epochs of a process, which counts its own from 0, are behind those of the whole training.

    Args:
        trajectory: Of the process.
        first_step: Steps that its first step builds on.
        num_open: Batches of its first step whose gradients waited when the checkpoint was written that it went on from.
        known: Steps of the whole training that may hold the first one, the most credible first.
        done: What had been done when it began.
        latest: The latest process of each rank.
    """
    first = next((batch for step in trajectory.steps[:1] for batch in step.batches), None)
    own = first.epoch if first is not None else 0  # a later one than 0 if whatever came before was let go
    for steps in known:
        if first_step < len(steps) and steps[first_step].batches:
            return _first_of(steps[first_step].batches, first, num_open).epoch - own
    last = next((batch for step in done[-1:] for batch in reversed(step.batches)), None)
    if last is None:
        return -own
    has_ended = _is_whole(last, done, latest) or any(one.pass_ended for one in latest)
    return last.epoch + has_ended - own


def _first_of(batches: tuple[TrainedBatch, ...], first: TrainedBatch | None, num_open: int) -> TrainedBatch:
    """With which batch of a step a process goes on.

    A step that is made of several batches may lie in two epochs: it is the batch that the process trains on first, or if
    the step has none such, the one behind those that waited when its checkpoint was written.
    """
    same = tuple(batch for batch in batches if first is not None and batch.key == first.key)
    return (same or batches[num_open:] or batches)[0]


def _is_whole(last: TrainedBatch, done: Steps, latest: Iterable[Trajectory]) -> bool:
    """Whether all batches of an epoch were trained on, as its loader counts them: nobody has asked for one more yet."""
    lengths = {one.loaders[last.loader].num_batches for one in latest if last.loader in one.loaders}
    steps = (step for part in done.epoch_ranges().get(last.epoch, ()) for step in done[part.start : part.stop])
    num = sum((batch.epoch, batch.loader) == (last.epoch, last.loader) for step in steps for batch in step.batches)
    return lengths == {num}
