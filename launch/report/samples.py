"""The distinct batches of a page, each kept once however many processes trained on it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from resumable.launch.evidence.rank_records import Index
from resumable.launch.reading.trained import TrainedBatch
from resumable.launch.system.text_safety import printable

MAX_INDICES = 4_000_000
"""Samples that one page holds; about 30 MB."""
_MAX_NAME = 80
"""Characters of a sample that is no integer."""


class Samples(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the batches of a page hold, by their number."""

    batches: list[Sequence[Index]]
    sizes: dict[int, int]
    """Of those that are longer than what the page keeps of them."""


class BatchNumbers:
    """Gives every distinct batch a number, and keeps its samples until there are `limit` of them."""

    def __init__(self, limit: int = MAX_INDICES) -> None:
        self._numbers: dict[object, int] = {}
        self._kept: list[Sequence[Index]] = []
        self._sizes: dict[int, int] = {}
        self._room = limit

    def number_of(self, batch: TrainedBatch) -> int:
        """The same for batches that are compared as equal; a batch of which nothing is known is like no other."""
        key: object = batch.key if batch.key is not None else object()
        known = self._numbers.get(key)
        if known is not None:
            return known
        number = self._numbers[key] = len(self._kept)
        samples = batch.samples
        kept = samples[: max(0, self._room)]
        self._room -= len(kept)
        self._kept.append([_harmless(sample) for sample in kept])
        if len(kept) < len(samples):
            self._sizes[number] = len(samples)
        return number

    @property
    def samples(self) -> Samples:
        """Of all batches that have a number."""
        return Samples(batches=self._kept, sizes=self._sizes)


def _harmless(sample: Index) -> Index:
    return sample if isinstance(sample, int) else printable(sample[:_MAX_NAME])
