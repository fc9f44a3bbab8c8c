"""Which samples ranks trained on in each epoch, counted for those epochs that somebody asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from resumable.launch.evidence.rank_records import Index
from resumable.launch.reading.lives import Run
from resumable.launch.reading.steps import Steps

ALL_EPOCHS = -1
"""Stands for all of them together."""
_MODULUS = 1 << 64
_WORD_BITS = 1024


class EpochSamples:
    """What ranks trained on, epoch by epoch.

    Args:
        ranks: The steps of each.
        by_epoch: Each epoch by itself; else all are one, `ALL_EPOCHS`.

    Memory: of a few numbers an epoch, and of one epoch while it is counted.
    """

    def __init__(self, ranks: Iterable[Steps], *, by_epoch: bool = True) -> None:
        self._ranks = tuple(ranks)
        self._by_epoch = by_epoch
        self._totals: dict[int, tuple[int, int, int]] = {}
        """Of each epoch its batches and samples, and the sum of the fingerprints of all its batches."""
        for steps in self._ranks:
            columns = (
                steps.batch_column("epochs"),
                steps.batch_column("batch_keys"),
                steps.batch_column("nums_samples"),
            )
            for epoch, key, num in zip(*columns, strict=True):
                name = epoch if by_epoch else ALL_EPOCHS
                batches, samples, total = self._totals.get(name, (0, 0, 0))
                self._totals[name] = (batches + 1, samples + num, (total + key) % _MODULUS)

    @property
    def epochs(self) -> list[int]:
        """All, in order."""
        return sorted(self._totals)

    def num_samples(self, epochs: Iterable[int]) -> int:
        """Of these epochs together, each time counted."""
        return sum(self._totals[epoch][1] for epoch in epochs)

    def is_alike(self, other: EpochSamples, epoch: int) -> bool:
        """Whether both trained on the same batches in this epoch, in whatever order and on whichever ranks."""
        return self._totals.get(epoch) == other._totals.get(epoch)

    def count(self, epoch: int) -> Counter[Index]:
        """How often each sample was trained on in an epoch; a batch without indices is one sample: its digest."""
        return Counter(sample for samples in self.batches(epoch) for sample in samples)

    def batches(self, epoch: int) -> Iterator[Sequence[Index]]:
        """The samples of each batch of an epoch, rank after rank."""
        for steps, ranges in zip(self._ranks, self._ranges, strict=True):
            for numbers in ranges.get(epoch, ()) if self._by_epoch else [range(len(steps))]:
                for step in steps[numbers.start : numbers.stop]:
                    yield from (b.samples for b in step.batches if not self._by_epoch or b.epoch == epoch)

    @cached_property
    def _ranges(self) -> list[dict[int, list[range]]]:
        return [steps.epoch_ranges() for steps in self._ranks]


def num_distinct(samples: Iterable[Index]) -> int:
    """How many different samples there are; indices that lie close together take a bit each."""
    bits: dict[int, int] = {}
    others: set[str] = set()
    for sample in samples:
        if isinstance(sample, str):
            others.add(sample)
        else:
            word, bit = divmod(sample, _WORD_BITS)
            bits[word] = bits.get(word, 0) | 1 << bit
    return len(others) + sum(word.bit_count() for word in bits.values())


def usual_epoch(run: Run) -> tuple[Counter[Index], int] | None:
    """The samples of every epoch that was whole before the first restart, and how many more of them pad each one.

    An epoch is known to be whole where the next one was begun. One says what an epoch is if it holds every sample of the
    data set and repeats no more than padding would, by whichever samples; else two do that hold the same: what is drawn
    with replacement, or what drops a tail, differs from epoch to epoch, and says nothing (None).
    """
    first = run.group(run.history.incarnations[0])
    epochs = EpochSamples(life.steps for life in first)
    whole = epochs.epochs[:-1]
    if not whole:
        return None
    usual = epochs.count(whole[0])
    if all(_is_everything(epochs.count(epoch), run, world_size=len(first)) for epoch in whole):
        return Counter(usual.keys()), usual.total() - len(usual)
    is_same = len(whole) > 1 and all(epochs.count(epoch) == usual for epoch in whole)
    return (usual, 0) if is_same else None


def _is_everything(epoch: Counter[Index], run: Run, *, world_size: int) -> bool:
    sizes = {loader.num_samples for life in run.lives for loader in life.trajectory.loaders.values()}
    return sizes == {len(epoch)} and epoch.total() - len(epoch) < world_size
