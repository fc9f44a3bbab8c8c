"""Says in a sampler's words how a rank's batches after a restart differ from those of the uninterrupted run.

The first pass over the data that is not as expected is the culprit. The rules below, the most telling first, look for
what it is instead: the right epoch from a wrong batch, another rank's samples, another epoch's order, batches cut
elsewhere, another order of the same samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, pairwise, zip_longest

from resumable.launch.evidence.rank_records import Index
from resumable.launch.explain.first_wrong_epoch import Culprit, Suspect, find_culprit
from resumable.launch.reading.trajectory import BatchKey

_PREFETCH_FACTOR = 2
"""Batches that torch's DataLoader lets each worker read ahead unless told otherwise."""


def explain(suspect: Suspect) -> str:
    """Why the batches differ, as one sentence; "" if they do not."""
    culprit = find_culprit(suspect)
    if culprit is None:
        return ""
    if not culprit.found:
        return f"epoch {culprit.epoch} is empty, or training ended before it"
    found = (rule(culprit) for rule in RULES)
    return next(filter(None, found), _fits_nowhere(culprit))


def _after_the_end(culprit: Culprit) -> str | None:
    if not culprit.wanted:
        return f"training went on in epoch {culprit.epoch}, which the uninterrupted run does not have"
    return None


def _other_length(culprit: Culprit) -> str | None:
    num_wanted, num_found = len(culprit.wanted), len(culprit.found)
    common = min(num_wanted, num_found)
    if culprit.found[:common] != culprit.wanted[:common]:
        return None
    if num_found > num_wanted:
        return f"epoch {culprit.epoch} goes on for {num_found - num_wanted} more batches (is drop_last another?)"
    if num_found == num_wanted - 1:
        return f"the last batch of epoch {culprit.epoch} is missing: it was dropped (drop_last) or never fetched"
    return (
        f"epoch {culprit.epoch} is truncated: it ends after {num_found} of {num_wanted} batches; "
        "a skip that is still set, or counted twice, does this"
    )


def _tail(culprit: Culprit) -> str | None:
    num = len(culprit.wanted)
    if len(culprit.found) != num or culprit.found[: num - 1] != culprit.wanted[: num - 1]:
        return None
    if num > 1 or set(_samples(culprit.found)) & set(_samples(culprit.wanted)):
        return (
            f"only the last batch of epoch {culprit.epoch} differs: its padding comes from the remainder instead of "
            "the epoch's start, or drop_last is another"
        )
    return None


def _other_rank(culprit: Culprit) -> str | None:
    for rank, epochs in culprit.rank_epochs.items():
        batches = epochs.get(culprit.epoch, [])[culprit.start :]
        if rank != culprit.suspect.rank and culprit.found[: len(batches)] == batches[: len(culprit.found)] != []:
            return (
                f"rank {culprit.suspect.rank} trained on rank {rank}'s samples: "
                f"did every rank load the sampler state of rank {rank}?"
            )
    return None


def _same_epoch(culprit: Culprit) -> str | None:
    if culprit.place is None or culprit.place[0] != culprit.epoch:
        return None
    batch = culprit.place[1]
    if not culprit.is_first:
        return _later_epoch(culprit, batch)
    if batch > culprit.start:
        return _skipped(culprit, batch)
    return _replayed(culprit, batch) if batch < culprit.start else None


def _replayed(culprit: Culprit, batch: int) -> str:
    if batch == 0:
        return f"it restarted epoch {culprit.epoch} from its first batch instead of going on at batch {culprit.start}"
    replayed = f"it replayed {_batches(culprit.start - batch)} from before the restart (from batch {batch} on)"
    if _is_skip_in_samples(culprit, batch * culprit.suspect.batch_size):
        return f"{replayed}, as if it had skipped {culprit.start} samples instead of {_batches(culprit.start)}"
    return replayed


def _is_skip_in_samples(culprit: Culprit, sample: int) -> bool:
    """Whether a rank that begins at this sample of its own skipped samples, its own or all ranks', for batches."""
    return sample > 0 and sample in (culprit.start, culprit.start // len(culprit.suspect.expected))


def _later_epoch(culprit: Culprit, batch: int) -> str | None:
    if not batch:
        return None
    sticky = ", as many as the resumed epoch had skipped" if batch == culprit.resume_batch else ""
    return (
        f"epoch {culprit.epoch} is truncated: it begins at batch {batch}{sticky}; "
        "the skip of the resumed epoch was never cleared (sticky start_iter)"
    )


def _skipped(culprit: Culprit, batch: int) -> str:
    num, size = batch - culprit.start, culprit.suspect.batch_size
    skipped = f"it skipped {_batches(num)} from batch {culprit.start} of epoch {culprit.epoch} on"
    if num == culprit.suspect.num_accumulated:
        lost = f"the gradients of {_batches(num)} are lost"
        return f"{skipped}: its checkpoint was saved in the middle of an accumulation, and {lost}"
    if 0 < num <= culprit.suspect.num_workers * _PREFETCH_FACTOR:
        return f"{skipped}: its sampler counted {_batches(num)} that the loader's workers had only read ahead"
    if culprit.start and batch == 2 * culprit.start:
        return f"{skipped}: the batches done before the restart were skipped twice"
    if culprit.start and batch == culprit.start * size:
        return f"{skipped}: samples ({batch}) were taken for batches ({culprit.start})"
    if culprit.start and batch == culprit.start * len(culprit.suspect.expected):
        return f"{skipped}: the batches of all ranks were skipped on each of them"
    return skipped


def _epoch_skipped(culprit: Culprit) -> str | None:
    if culprit.place != (culprit.epoch + 1, 0):
        return None
    rest = f"the rest of epoch {culprit.epoch}" if culprit.start else f"epoch {culprit.epoch}"
    return f"{rest} was skipped or is empty: it trained on epoch {culprit.epoch + 1} instead (epoch off by one)"


def _other_epoch(culprit: Culprit) -> str | None:
    if culprit.place is None or culprit.place[0] == culprit.epoch:
        return None
    epoch, batch = culprit.place
    if batch != culprit.start:
        if (epoch, batch) == (0, 0):
            return "it began again with the very first batch of epoch 0, though its parameters go on"
        right = f"epoch {culprit.epoch} from batch {culprit.start} on"
        return f"it trained on epoch {epoch} from batch {batch} on, instead of {right}"
    if epoch == culprit.epoch - 1 and not culprit.is_first:
        return f"epochs {epoch} and {culprit.epoch} are alike: the order of epoch {epoch} came again (set_epoch?)"
    if epoch == 0:
        return f"epoch {culprit.epoch} goes on in epoch 0's order: the sampler's epoch was not restored (set_epoch)"
    return f"epoch {culprit.epoch} goes on in epoch {epoch}'s order: the sampler's epoch is wrong (off by one?)"


def _cut_elsewhere(culprit: Culprit) -> str | None:
    """Batches whose samples lie in the epoch's common order, but not where a batch begins."""
    num_ranks = len(culprit.suspect.expected)
    columns = [_samples(epochs.get(culprit.epoch, [])) for epochs in culprit.rank_epochs.values()]
    stream = [sample for turn in zip_longest(*columns) for sample in turn]
    positions = {sample: position for position, sample in reversed(list(enumerate(stream)))}
    places = [positions.get(sample) for sample in _samples(culprit.found[:1])]
    known = [place for place in places if place is not None]
    is_run = bool(known) and len(known) == len(places) and all(b - a == num_ranks for a, b in pairwise(known))
    if not is_run:
        return None
    before = culprit.epochs.get(culprit.epoch, [])[: culprit.start]
    begin, wanted = known[0] // num_ranks, len(_samples(before))
    size, right_size = len(places), len(_samples(culprit.wanted[:1]))
    sizes = f"of {_num_samples(size)} instead of {right_size}" if size != right_size else ""
    if begin == wanted:
        return f"its batches are {sizes} from batch {culprit.start} of epoch {culprit.epoch} on" if sizes else None
    where = f"its batches begin at sample {begin} of the rank's epoch {culprit.epoch} instead of sample {wanted}"
    if _is_skip_in_samples(culprit, begin):
        return f"{where}: it skipped {culprit.start} samples instead of {_batches(culprit.start)}"
    if sizes and begin == culprit.start * size:
        return f"{where}: it skipped {_batches(culprit.start)} {sizes}"
    return f"{where}: the skip was counted in other units than batches"


def _no_permutation(culprit: Culprit) -> str | None:
    found, wanted = _samples(culprit.found), _samples(culprit.wanted)
    num_repeats = len(found) - len(set(found))
    if num_repeats > len(wanted) - len(set(wanted)):
        return f"{num_repeats} samples come twice in what this rank trained on of epoch {culprit.epoch}: no permutation"
    return None


def _other_order(culprit: Culprit) -> str | None:
    found = _parts(culprit.found)
    if found and Counter(found) == Counter(_parts(culprit.wanted)):
        what = "samples" if _samples(culprit.found) else "batches"
        return f"the right {what} of epoch {culprit.epoch}, in another order"
    known = {part for epochs in culprit.rank_epochs.values() for part in _parts(chain(*epochs.values()))}
    if found and known.issuperset(found):
        return f"epoch {culprit.epoch} has an order that no epoch of the uninterrupted run has: another seed or epoch?"
    return None


def _fits_nowhere(culprit: Culprit) -> str:
    if _samples(culprit.found):
        return f"the samples fit no epoch of the uninterrupted run from batch {culprit.start} on"
    return (
        f"the content of its batches fits no epoch of the uninterrupted run from batch {culprit.start} on: "
        "other samples, or the same ones put together or transformed otherwise"
    )


RULES: tuple[Callable[[Culprit], str | None], ...] = (
    _after_the_end,
    _other_length,
    _same_epoch,
    _tail,
    _other_rank,
    _epoch_skipped,
    _other_epoch,
    _cut_elsewhere,
    _no_permutation,
    _other_order,
)
"""In order: the first that has something to say is believed."""


def _samples(batches: Iterable[BatchKey]) -> list[Index]:
    return [sample for batch in batches if isinstance(batch, tuple) for sample in batch]


def _parts(batches: Iterable[BatchKey]) -> list[Index]:
    """The samples, and each batch as a whole that is known by its content only."""
    return [part for batch in batches if batch is not None for part in ((batch,) if isinstance(batch, str) else batch)]


def _batches(num: int) -> str:
    return "1 batch" if num == 1 else f"{num} batches"


def _num_samples(num: int) -> str:
    return "1 sample" if num == 1 else f"{num} samples"
