"""The groups of an epoch's stream: which lie where."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resumable.samplers.groups.groups import Groups
from resumable.samplers.orders import Positions, Stream
from resumable.samplers.orders.keyed import key

_MAX_BLOCKS = 4


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Block:
    """A block of the stream, in groups."""

    start: int
    stop: int
    samples: Positions
    """Its samples, in the order in which they are dealt out."""
    borders: Positions
    """Positions in the epoch's stream at which groups begin, and behind them `stop`."""

    @property
    def num_groups(self) -> int:
        """Number of groups."""
        return len(self.borders) - 1

    def group(self, number: int) -> list[int]:
        """Return the samples of a group."""
        first, stop = self.borders[number] - self.start, self.borders[number + 1] - self.start
        samples: list[int] = self.samples[first:stop].tolist()
        return samples


class GroupStream:
    """An epoch's stream, rearranged within each block so that groups lie together; positions are those of its samples.

    Args:
        groups: How to cut a block.
        stream: The samples.
        length: Length of the epoch's stream.
        starts: Positions at which blocks begin anew, ascending, from 0: where the stream was amended.
        identity: Seed and epoch.
    """

    def __init__(
        self, groups: Groups, stream: Stream, *, length: int, starts: Sequence[int], identity: tuple[int, int]
    ) -> None:
        self.length = length
        self._groups = groups
        self._stream = stream
        self._starts = starts
        self._identity = identity
        self._blocks: dict[int, Block] = {}

    def borders(self, position: int) -> tuple[int, int]:
        """Return where the block begins and ends in which a position lies."""
        number = bisect_right(self._starts, position) - 1
        base = self._starts[number]
        start = base + (position - base) // self._groups.block_size * self._groups.block_size
        ends = [*self._starts[number + 1 : number + 2], self.length, start + self._groups.block_size]
        return start, min(ends)

    def block(self, position: int) -> Block:
        """Return the block in which a position lies; the latest ones cost nothing."""
        start, stop = self.borders(position)
        if start not in self._blocks:
            for oldest in list(self._blocks)[: 1 - _MAX_BLOCKS]:
                del self._blocks[oldest]
            samples = self._stream.at(np.arange(start, stop, dtype=np.int64))
            cut = self._groups.cut(samples, key("groups/1", *self._identity, start))
            borders = start + np.concatenate([[0], np.cumsum(cut.sizes)])
            self._blocks[start] = Block(start=start, stop=stop, samples=cut.samples, borders=borders)
        return self._blocks[start]
