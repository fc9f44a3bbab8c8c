"""How a rank's batches after a restart differ from those of the uninterrupted run, in a sampler's words.

Only the first pass over the data that is not as expected is looked at. The rules below, the most telling first, look for
what it is instead: the right epoch from a wrong batch, another rank's samples, a different epoch's order, batches cut
elsewhere, a different order of the same samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, pairwise, zip_longest
from typing import Literal

from resumable.launch.evidence.rank_records import Index
from resumable.launch.explain.codes.epoch_reasons import (
    EpochBeyondEnd,
    EpochEmpty,
    EpochTooLong,
    EpochTruncated,
    LastBatchDiffers,
    LastBatchMissing,
    SkipNotCleared,
    StepsBeyondEnd,
)
from resumable.launch.explain.codes.order_reasons import (
    DrawnAgain,
    EpochOrderRepeated,
    EpochSkipped,
    FinishedEpochRepeated,
    FitsNowhere,
    GeneratorNotRestored,
    OrderDiffers,
    OrderUnknown,
    ReadsSamplesOfRank,
    SamplerEpochWrong,
    SamplesDuplicated,
)
from resumable.launch.explain.codes.place_reasons import (
    BatchesShifted,
    BatchSizeDiffers,
    SkipUnit,
    VeryFirstBatch,
    WrongPlace,
)
from resumable.launch.explain.codes.share_reasons import DatasetLengthDiffers
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.explain.first_wrong_epoch import (
    FirstWrongEpoch,
    RankComparison,
    epochs_of,
    find_first_wrong_epoch,
)
from resumable.launch.explain.wrong_place import is_skip_in_samples, replayed, skipped
from resumable.launch.reading.trained import BatchKey


def explain(comparison: RankComparison) -> Reason | None:
    """Why the batches differ; None if they do not."""
    wrong = find_first_wrong_epoch(comparison)
    if wrong is None:
        return None
    if not wrong.found and wrong.start:
        return _truncated(wrong)
    if not wrong.found:
        return EpochEmpty(epoch=wrong.epoch)
    found = (rule(wrong) for rule in RULES)
    return next(filter(None, found), None) or _fits_nowhere(wrong)


def _after_the_end(wrong: FirstWrongEpoch) -> Reason | None:
    if not wrong.wanted:
        return EpochBeyondEnd(epoch=wrong.epoch)
    return None


def _different_length(wrong: FirstWrongEpoch) -> Reason | None:
    num_wanted, num_found = len(wrong.wanted), len(wrong.found)
    common = min(num_wanted, num_found)
    if wrong.found[:common] != wrong.wanted[:common]:
        return None
    if num_found > num_wanted and _ends_in_mid_epoch(wrong):
        return StepsBeyondEnd(epoch=wrong.epoch, num=num_found - num_wanted)
    if num_found > num_wanted:
        return EpochTooLong(epoch=wrong.epoch, num=num_found - num_wanted)
    if num_found == num_wanted - 1:
        return LastBatchMissing(epoch=wrong.epoch)
    return _truncated(wrong)


def _truncated(wrong: FirstWrongEpoch) -> Reason:
    num_found, num_wanted = len(wrong.found), len(wrong.wanted)
    return EpochTruncated(epoch=wrong.epoch, num_found=wrong.start + num_found, num_expected=wrong.start + num_wanted)


def _ends_in_mid_epoch(wrong: FirstWrongEpoch) -> bool:
    """Whether the uninterrupted run stops in this epoch before all of its batches came."""
    lengths = [wrong.comparison.num_batches, *map(len, wrong.epochs.values())]
    return wrong.epoch == max(wrong.epochs) and len(wrong.epochs[wrong.epoch]) < max(lengths)


def _tail(wrong: FirstWrongEpoch) -> Reason | None:
    num = len(wrong.wanted)
    if len(wrong.found) != num or wrong.found[: num - 1] != wrong.wanted[: num - 1]:
        return None
    if num > 1 or set(_samples(wrong.found)) & set(_samples(wrong.wanted)):
        return LastBatchDiffers(epoch=wrong.epoch)
    return None


def _rank_of_another(wrong: FirstWrongEpoch) -> Reason | None:
    for rank, epochs in wrong.rank_epochs.items():
        batches = epochs.get(wrong.epoch, [])[wrong.start :]
        if rank != wrong.comparison.rank and wrong.found[: len(batches)] == batches[: len(wrong.found)] != []:
            return ReadsSamplesOfRank(rank=wrong.comparison.rank, other_rank=rank)
    return None


def _without_loader(wrong: FirstWrongEpoch) -> Reason | None:
    if wrong.comparison.has_loader or wrong.place is None or wrong.place[1] == wrong.start:
        return None
    return DrawnAgain(batch=wrong.start, found_batch=wrong.place[1])


def _same_epoch(wrong: FirstWrongEpoch) -> Reason | None:
    if wrong.place is None or wrong.place[0] != wrong.epoch:
        return None
    batch = wrong.place[1]
    if not wrong.is_first:
        return _later_epoch(wrong, batch)
    if batch > wrong.start:
        return skipped(wrong, batch)
    return replayed(wrong, batch) if batch < wrong.start else None


def _later_epoch(wrong: FirstWrongEpoch, batch: int) -> Reason | None:
    if not batch:
        return None
    return SkipNotCleared(epoch=wrong.epoch, batch=batch, is_as_resumed=batch == wrong.resume_batch)


def _epoch_skipped(wrong: FirstWrongEpoch) -> Reason | None:
    if wrong.place != (wrong.epoch + 1, 0) or wrong.is_followed_by(wrong.epoch + 1):
        return None
    num_left = len(wrong.wanted)
    if wrong.is_first and num_left == wrong.comparison.num_ahead:
        return skipped(wrong, wrong.start + num_left)
    return EpochSkipped(epoch=wrong.epoch, is_begun=wrong.start > 0)


def _finished_epoch(wrong: FirstWrongEpoch) -> Reason | None:
    """An epoch before the border at which the process went on comes again, and then the others.

    Where no sampler knows of any, a generator that began anew looks the same: then the job has no epoch too many.
    """
    epoch = _earlier_epoch(wrong)
    if epoch is None or not wrong.is_followed_by(epoch + 1):
        return None
    is_told = epoch == wrong.epoch - 1 and (epoch > 0 or _has_epoch_more(wrong))
    return FinishedEpochRepeated(epoch=epoch) if wrong.comparison.has_epochs or is_told else None


def _has_epoch_more(wrong: FirstWrongEpoch) -> bool:
    comparison = wrong.comparison
    return max(epochs_of(comparison.found, comparison.loader), default=0) > max(wrong.epochs)


def _earlier_epoch(wrong: FirstWrongEpoch) -> int | None:
    """The one with whose first batch a process goes on at the border to a later one; None if it does not."""
    if wrong.place is None or not wrong.is_first or wrong.start != 0:
        return None
    epoch, batch = wrong.place
    return epoch if epoch < wrong.epoch and batch == 0 else None


def _different_epoch(wrong: FirstWrongEpoch) -> Reason | None:
    if wrong.place is None or wrong.place[0] == wrong.epoch:
        return None
    epoch, batch = wrong.place
    if batch != wrong.start:
        if (epoch, batch) == (0, 0):
            return VeryFirstBatch()
        return WrongPlace(epoch=wrong.epoch, batch=wrong.start, found_epoch=epoch, found_batch=batch)
    if epoch == wrong.epoch - 1 and not wrong.is_first:
        return EpochOrderRepeated(epoch=wrong.epoch, previous=epoch)
    if not wrong.comparison.has_epochs:
        is_open = _earlier_epoch(wrong) == wrong.epoch - 1 and not wrong.comparison.is_whole
        return GeneratorNotRestored(epoch=wrong.epoch, found_epoch=epoch, is_earlier_begun=is_open)
    is_earlier_begun = _earlier_epoch(wrong) is not None and not wrong.following
    return SamplerEpochWrong(epoch=wrong.epoch, found_epoch=epoch, is_earlier_begun=is_earlier_begun)


def _cut_elsewhere(wrong: FirstWrongEpoch) -> Reason | None:
    """Batches whose samples lie in the epoch's common order, but not where a batch begins."""
    num_ranks = len(wrong.comparison.expected)
    columns = [_samples(epochs.get(wrong.epoch, [])) for epochs in wrong.rank_epochs.values()]
    stream = [sample for turn in zip_longest(*columns) for sample in turn]
    positions = {sample: position for position, sample in reversed(list(enumerate(stream)))}
    places = [positions.get(sample) for sample in _samples(wrong.found[:1])]
    known = [place for place in places if place is not None]
    is_run = bool(known) and len(known) == len(places) and all(b - a == num_ranks for a, b in pairwise(known))
    if not is_run:
        return None
    before = wrong.epochs.get(wrong.epoch, [])[: wrong.start]
    begin, right_begin = known[0] // num_ranks, len(_samples(before))
    size, right_size = len(places), len(_samples(wrong.wanted[:1]))
    if begin == right_begin and size == right_size:
        return None
    if begin == right_begin:
        return BatchSizeDiffers(epoch=wrong.epoch, batch=wrong.start, size=size, right_size=right_size)
    is_in_samples = is_skip_in_samples(wrong, begin)
    if size == right_size and (begin - right_begin) % size == 0 and not is_in_samples:
        return None  # it is one of the epoch's batches, and not cut elsewhere
    is_resized = size != right_size and begin == wrong.start * size
    unit: SkipUnit = "batches of a different size" if is_resized else "different units"
    return BatchesShifted(
        epoch=wrong.epoch,
        position=begin,
        right_position=right_begin,
        num_done=wrong.start,
        size=size,
        right_size=right_size,
        skipped="samples" if is_in_samples else unit,
    )


def _different_data(wrong: FirstWrongEpoch) -> Reason | None:
    num_expected, num_found = wrong.comparison.num_samples
    if num_expected == num_found or not num_expected or not num_found:
        return None
    return DatasetLengthDiffers(epoch=wrong.epoch, num_found=num_found, num_expected=num_expected)


def _no_permutation(wrong: FirstWrongEpoch) -> Reason | None:
    found, wanted = _samples(wrong.found), _samples(wrong.wanted)
    num_repeats = len(found) - len(set(found))
    if num_repeats > len(wanted) - len(set(wanted)):
        return SamplesDuplicated(epoch=wrong.epoch, num=num_repeats)
    return None


def _different_order(wrong: FirstWrongEpoch) -> Reason | None:
    found = _parts(wrong.found)
    if found and Counter(found) == Counter(_parts(wrong.wanted)):
        return OrderDiffers(epoch=wrong.epoch, unit="samples" if _samples(wrong.found) else "batches")
    known = {part for epochs in wrong.rank_epochs.values() for part in _parts(chain(*epochs.values()))}
    if not found or not known.issuperset(found):
        return None
    return OrderUnknown(epoch=wrong.epoch) if wrong.comparison.has_epochs else GeneratorNotRestored(epoch=wrong.epoch)


def _fits_nowhere(wrong: FirstWrongEpoch) -> Reason:
    unknown: Literal["content", "inputs"] = "content" if wrong.comparison.has_loader else "inputs"
    return FitsNowhere(unit="samples" if _samples(wrong.found) else unknown)


RULES: tuple[Callable[[FirstWrongEpoch], Reason | None], ...] = (
    _after_the_end,
    _different_length,
    _without_loader,
    _same_epoch,
    _tail,
    _rank_of_another,
    _epoch_skipped,
    _finished_epoch,
    _different_epoch,
    _cut_elsewhere,
    _different_data,
    _no_permutation,
    _different_order,
)
"""In order: the first that explains it is believed."""


def _samples(batches: Iterable[BatchKey]) -> list[Index]:
    return [sample for batch in batches if isinstance(batch, tuple) for sample in batch]


def _parts(batches: Iterable[BatchKey]) -> list[Index]:
    """The samples, and each batch as a whole that is known by its content only."""
    return [part for batch in batches if batch is not None for part in ((batch,) if isinstance(batch, str) else batch)]
