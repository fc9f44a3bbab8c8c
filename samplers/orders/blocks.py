"""`blocks/1`: neighbours on disk stay neighbours in time."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from resumable.samplers.arguments import integer
from resumable.samplers.orders.keyed import key, seed_of
from resumable.samplers.orders.named import OrderLike, order_of
from resumable.samplers.orders.order import Order, described
from resumable.samplers.orders.run import split
from resumable.samplers.orders.stream import Positions, Stream

_LIMIT = 2**62
_MAX_WINDOWS = 8


class Blocks(Order):
    """Shuffled blocks of neighbouring samples, shuffled again within a window of some blocks.

    For shards and slow disks: at any time only the blocks of one window are read from. The last block may be shorter than
    the others; its place in time is drawn like theirs.

    Args:
        block_size: Samples in a block, as in a shard.
        window: Number of blocks whose samples are mixed; 1 mixes only within each block.
        order: Name of the order of the blocks and of each window, or an order.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: a size is not positive, or no such order exists.
    """

    name = "blocks/1"

    def __init__(self, block_size: int, *, window: int = 8, order: OrderLike = "feistel") -> None:
        self._block_size = integer("block_size", block_size, low=1, high=_LIMIT)
        self._window = integer("window", window, low=1, high=_LIMIT)
        self._order = order_of(order)
        self.is_permutation = self._order.is_permutation

    @property
    def parameters(self) -> dict[str, Any]:
        """Sizes, and the order of blocks and windows."""
        return {"block_size": self._block_size, "window": self._window, "of": described(self._order)}

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Return the stream of an epoch; what it costs is the order of the blocks, and that of each window that is read."""
        num_blocks = -(-num_samples // self._block_size)
        short = num_samples % self._block_size
        places = self._order.stream(
            num_samples=num_blocks - bool(short), seed=seed_of("blocks/1", seed, num_samples), epoch=epoch
        )
        layout = _Layout(
            block_size=self._block_size,
            num_blocks=num_blocks,
            short_size=short or self._block_size,
            short_place=key("blocks/1.last", seed, epoch, num_samples) % num_blocks if short else num_blocks,
        )
        return _Blocks(self._order, places, layout, window=self._window, identity=(seed, epoch, num_samples))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """Where the blocks lie in time, one after the other, of which one may be short."""

    block_size: int
    num_blocks: int
    short_size: int
    short_place: int
    """Place in time of the short block; behind all of them if there is none."""

    def place(self, positions: Positions) -> Positions:
        """Return the place of the block in which each position lies."""
        begin = self.short_place * self.block_size
        behind = self.short_place + 1 + (positions - begin - self.short_size) // self.block_size
        in_it = np.where(positions < begin + self.short_size, self.short_place, behind)
        return np.where(positions < begin, positions // self.block_size, in_it)

    def start(self, places: Positions) -> Positions:
        """Return the position at which the block in each place begins; behind the last place, the end."""
        missing = self.block_size - self.short_size
        return places * self.block_size - np.where(places > self.short_place, missing, 0)


class _Blocks:
    def __init__(
        self, order: Order, places: Stream, layout: _Layout, *, window: int, identity: tuple[int, int, int]
    ) -> None:
        self._order = order
        self._places = places
        self._layout = layout
        self._window = window
        self._identity = identity
        self._windows: dict[int, Stream] = {}

    def at(self, positions: Positions) -> Positions:
        times = self._mixed(positions)
        places = self._layout.place(times)
        offsets = times - self._layout.start(places)
        short = places == self._layout.short_place
        blocks = np.full_like(places, self._layout.num_blocks - 1)
        others = places[~short]
        if others.size:
            blocks[~short] = self._places.at(others - (others > self._layout.short_place))
        return blocks * self._layout.block_size + offsets

    def _mixed(self, positions: Positions) -> Positions:
        """Exchange positions within their windows."""
        windows = self._layout.place(positions) // self._window
        mixed = np.empty_like(positions)
        for window, chosen in split(windows):
            ends = np.array([window, window + 1], dtype=np.int64) * self._window
            start, stop = self._layout.start(np.minimum(ends, self._layout.num_blocks)).tolist()
            mixed[chosen] = start + self._within(window, stop - start).at(positions[chosen] - start)
        return mixed

    def _within(self, window: int, num_samples: int) -> Stream:
        if window not in self._windows:
            for oldest in list(self._windows)[: 1 - _MAX_WINDOWS]:
                del self._windows[oldest]
            seed = seed_of("blocks/1.window", *self._identity, window)
            self._windows[window] = self._order.stream(num_samples=num_samples, seed=seed, epoch=0)
        return self._windows[window]
