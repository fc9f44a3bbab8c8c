"""Places since training began, of those that a process counts for itself."""

from __future__ import annotations

from dataclasses import dataclass

from resumable.launch.evidence.loop_profile import LoopProfile
from resumable.launch.evidence.rank_records import Place, StepCount


@dataclass(frozen=True, kw_only=True)
class Upcoming:
    """The batch that would be trained on next, counted from 0 since training began."""

    batch: int
    epoch: int
    epoch_batch: int


def place_of(count: StepCount) -> Place:
    """Where training stood when so much was done."""
    return Place(epoch=count.epoch, num_batches=count.epoch_batches, length=count.epoch_length)


def since_start(
    profile: LoopProfile, base: StepCount, stream: int, epoch: int, num_batches: int, *, length: int | None = None
) -> Place:
    """Place since training began, of a place in one process.

    Args:
        profile: How the job's loop works: only where it takes loaders side by side each stream has a place of its own.
        base: What was done before the process.
        stream: Of batches.
        epoch: Of this stream, as the process counts them from 0.
        num_batches: Of that epoch, trained on in the process.
        length: Batches of a whole epoch; None where it is not known.
    """
    first = base.places.get(stream, place_of(base)) if profile.interleaves_loaders else place_of(base)
    if first.length is not None and first.num_batches >= first.length:
        first = Place(epoch=first.epoch + 1, num_batches=0)
    num_before = first.num_batches if epoch == 0 else 0
    return Place(epoch=first.epoch + epoch, num_batches=num_before + num_batches, length=length)
