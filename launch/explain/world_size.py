"""Why the ranks' common order is different once their number has changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from resumable.launch.evidence.rank_records import Index
from resumable.launch.explain.codes.share_reasons import ProgressInBatches, SharesOfOldSize
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.reading.global_stream import GlobalStep


def explain_world_size_change(
    found: Sequence[GlobalStep], epoch: int, wanted: Sequence[Index], *, before: int
) -> Reason | None:
    """Why an epoch leaves the wanted order where it goes on with a different number of ranks; None if nothing explains it.

    Args:
        found: All steps of the job.
        epoch: The one that is not as it should be.
        wanted: Its samples in their order.
        before: Ranks that the job began with.
    """
    place = 0
    for number, step in enumerate(found):
        if step.epoch == epoch and step.world_size != before:
            sizes = before, step.world_size
            rest = _samples_alike(found[number:])
            why = _in_batches(wanted, rest, place, *sizes) or _old_shares(wanted, rest, place, *sizes)
            if why is not None:
                return why
        before = step.world_size
        place += len(step.samples) if step.epoch == epoch else 0
    return None


def _samples_alike(steps: Sequence[GlobalStep]) -> list[Index]:
    """Of the first of these steps and those behind it, as long as epoch and number of ranks are the same."""
    first = steps[0]
    alike = takewhile(lambda step: (step.epoch, step.world_size) == (first.epoch, first.world_size), steps)
    return [sample for step in alike for sample in step.samples]


def _in_batches(wanted: Sequence[Index], rest: Sequence[Index], place: int, before: int, after: int) -> Reason | None:
    """A position in batches stands for more samples, or fewer, where the ranks are more, or fewer."""
    position = wanted.index(rest[0]) if rest and rest[0] in wanted else place
    if position != place and position * before == place * after:
        return ProgressInBatches(before=before, after=after)
    return None


def _old_shares(wanted: Sequence[Index], rest: Sequence[Index], place: int, before: int, after: int) -> Reason | None:
    shares = [(wanted[place + rank :: before], rest[rank::after]) for rank in range(after)]
    if all(old[: len(new)] == new[: len(old)] != [] for old, new in shares):
        return SharesOfOldSize(before=before, after=after)
    return None
