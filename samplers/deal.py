"""What one rank reads of the rest of an epoch, item by item: samples, or groups of them."""

from dataclasses import replace
from typing import Protocol

import numpy as np

from resumable.samplers.finished import NOTHING, Finished
from resumable.samplers.orders import Stream
from resumable.samplers.share import Share

Item = int | list[int]
"""A sample, or the samples of a group."""

_MIN_BLOCK_ROWS = 64
_MAX_BLOCK_ROWS = 32_768
_BLOCK_GROWTH = 7


class Deal(Protocol):
    """One rank's part of what is left of an epoch. Row `k` is the `k`-th item of each rank.

    Where rows end is known without reading the rest of the epoch; how many there are may take a walk through it.
    """

    @property
    def start(self) -> int:
        """Position in the epoch's stream from which on it is dealt."""

    @property
    def finished(self) -> Finished:
        """Positions behind `start` that were finished before, and are not dealt."""

    @property
    def num_replicas(self) -> int:
        """Number of ranks."""

    @property
    def rank(self) -> int:
        """This rank: of the items that are left, it reads every `num_replicas`-th, beginning with number `rank`."""

    @property
    def batch_size(self) -> int:
        """Items in a batch of this rank."""

    @property
    def num_rows(self) -> int:
        """Number of items that each rank reads, padding included; the same for all ranks."""

    def has_row(self, row: int) -> bool:
        """Whether there is a row of this number."""

    def next_stop(self, row: int, unit: int = 1) -> int:
        """Return up to which row to read at a time, from `row` on, in whole units but for the end; `row` itself there."""

    def items(self, first: int, stop: int) -> list[Item]:
        """Return this rank's items of rows that there are."""

    def consumed(self, num_rows: int) -> int:
        """Return the position up to which all ranks are done once each has read so many rows.

        The last row takes everything that is left with it: padding is not counted, and a tail that is dropped is over.
        """

    def rows_before(self, position: int) -> int:
        """Return how many whole rows end at or before a position, in an epoch of which nothing was finished before."""

    def with_finished(self, numbers: Finished) -> tuple[int, Finished]:
        """Return up to where everything is finished, and what is behind that, once items of these numbers are.

        Args:
            numbers: Items by number, counted over all ranks from `start` on; beyond the last one is padding.
        """

    def positions(self, row: int) -> range:
        """Return the positions of this rank's item in a row; none if it is padding."""

    def padding(self, row: int) -> list[bool]:
        """Return which samples of this rank's item in a row are padding: all of them or none."""

    def in_batches(self, batch_size: int, *, drop_last: bool) -> "Deal":
        """Return it as a loader takes it, whose batches are of a different size, or that drops a short last one."""


class SampleDeal:
    """Samples, dealt out one by one: every position is known by arithmetic.

    Args:
        share: This rank's part, as if what is finished were not there.
        stream: The samples.
        finished: Positions behind the start that are finished.
    """

    def __init__(self, share: Share, stream: Stream, finished: Finished = NOTHING) -> None:
        self._share = share
        self._stream = stream
        self._length = share.num_samples + finished.count
        self.finished = finished
        self.start = share.start
        self.num_replicas = share.num_replicas
        self.rank = share.rank
        self.batch_size = share.batch_size
        self.num_rows = share.num_rows

    def has_row(self, row: int) -> bool:
        """Whether there is a row of this number."""
        return row < self.num_rows

    def next_stop(self, row: int, unit: int = 1) -> int:
        """Some times more than all before it: the first sample waits for few others, and the last one for few blocks."""
        num_rows = min(max(row * _BLOCK_GROWTH, _MIN_BLOCK_ROWS), _MAX_BLOCK_ROWS)
        return min(row + -(-num_rows // unit) * unit, self.num_rows)

    def items(self, first: int, stop: int) -> list[Item]:
        """Return this rank's samples of some rows."""
        rows = self._share.positions(first, stop)
        positions = self.finished.lefts(np.arange(rows.start, rows.stop, rows.step, dtype=np.int64))
        if stop == self.num_rows and self._share.num_padding and stop > first:
            positions[-1] %= self._length
        samples: list[Item] = self._stream.at(positions).tolist()
        return samples

    def consumed(self, num_rows: int) -> int:
        """Return the position up to which all ranks are done."""
        if num_rows >= self.num_rows:
            return self._length
        return self.finished.left(self.start + num_rows * self.num_replicas)

    def rows_before(self, position: int) -> int:
        """Return how many whole rows end at or before a position."""
        if position >= self._length:
            return self.num_rows
        return (position - self.start) // self.num_replicas

    def with_finished(self, numbers: Finished) -> tuple[int, Finished]:
        """Return up to where everything is finished, and what is behind that."""
        num_left = self._share.num_samples - self.start
        if numbers.up_to(0) >= min(num_left, self.num_rows * self.num_replicas):
            return self._length, NOTHING
        known = ((first, min(stop, num_left)) for first, stop in numbers.runs if first < num_left)
        runs = [
            (self.finished.left(self.start + first), self.finished.left(self.start + stop - 1) + 1)
            for first, stop in known
        ]
        finished = Finished.of([*runs, *self.finished.runs])
        consumed = finished.up_to(self.start)
        return consumed, finished.behind(consumed)

    def positions(self, row: int) -> range:
        """Return the position of this rank's sample in a row, if it is no padding."""
        [position] = self._share.positions(row, row + 1)
        if position >= self._share.num_samples:
            return range(0)
        position = self.finished.left(position)
        return range(position, position + 1)

    def padding(self, row: int) -> list[bool]:
        """Return whether this rank's sample in a row is padding."""
        return [not self.positions(row)]

    def in_batches(self, batch_size: int, *, drop_last: bool) -> "SampleDeal":
        """Return it as a loader takes it."""
        share = replace(self._share, batch_size=batch_size, whole_batches=self._share.whole_batches or drop_last)
        return SampleDeal(share, self._stream, self.finished)
