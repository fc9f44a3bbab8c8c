"""Why the ranks' common order is different once their number has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from resumable.launch.evidence.rank_records import Index
from resumable.launch.explain.codes.share_reasons import ProgressInBatches, SharesOfOldSize
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.global_stream import GlobalStep


def explain_world_size_change(
    found: Sequence[GlobalStep], epoch: int, expected: Mapping[int, Sequence[Index]], *, before: int
) -> Reason | None:
    """Why an epoch leaves the wanted order where it goes on with a different number of ranks; None if nothing explains it.

    Args:
        found: All steps of the job.
        epoch: The one that is not as it should be.
        expected: The samples of each epoch in their order.
        before: Ranks that the job began with.
    """
    place, wanted = 0, expected.get(epoch, ())
    for number, step in enumerate(found):
        if step.epoch == epoch and step.world_size != before:
            sizes = before, step.world_size
            rest = _samples_alike(found[number:])
            why = _in_batches(expected, rest, (epoch, place), *sizes) or _old_shares(wanted, rest, place, *sizes)
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


def _in_batches(
    expected: Mapping[int, Sequence[Index]], rest: Sequence[Index], place: tuple[int, int], before: int, after: int
) -> Reason | None:
    """A position in batches, of the epoch or since training began, is fewer samples on fewer ranks, or more on more."""
    at = _place_of(rest, expected, place[0])
    if at is None or at == place:
        return None
    right, found = (_since_beginning(expected, *one) for one in (place, at))
    is_of_epoch = at[0] == place[0] and at[1] * before == place[1] * after
    return ProgressInBatches(before=before, after=after) if is_of_epoch or found * before == right * after else None


def _place_of(rest: Sequence[Index], expected: Mapping[int, Sequence[Index]], epoch: int) -> tuple[int, int] | None:
    """Epoch and position from which on the expected order goes on for longest as these samples do; None if nowhere."""
    starts = {number: own.index(rest[0]) for number, own in expected.items() if rest and rest[0] in own}
    places = [
        (first_difference(expected[number][start:], rest) or len(rest), number == epoch, number, start)
        for number, start in starts.items()
    ]
    return max(places)[2:] if places else None


def _since_beginning(expected: Mapping[int, Sequence[Index]], epoch: int, position: int) -> int:
    """Samples before a place."""
    return sum(len(samples) for number, samples in expected.items() if number < epoch) + position


def _old_shares(wanted: Sequence[Index], rest: Sequence[Index], place: int, before: int, after: int) -> Reason | None:
    shares = [(wanted[place + rank :: before], rest[rank::after]) for rank in range(after)]
    if all(old[: len(new)] == new[: len(old)] != [] for old, new in shares):
        return SharesOfOldSize(before=before, after=after)
    return None
