"""What batches held of which a digest of the samples alone was kept, as far as the order of the epoch tells.

All ranks together go through it: position `j * W + r` of what is left is the `j`-th sample of rank `r` of `W`. The last turn
is made whole by samples of the epoch's beginning, or dropped.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

import xxhash


def digest_of(samples: Sequence[int]) -> str:
    """What stands for the samples of one batch in their order, as `resumable.launch.worker.watch.index_texts` writes it."""
    numbers = array("q", samples)
    if sys.byteorder == "big":
        numbers.byteswap()
    return xxhash.xxh3_128_hexdigest(numbers.tobytes())


def dealt(epoch: Sequence[int], start: int, *, world_size: int, batch_size: int) -> Iterator[tuple[int, ...]]:
    """The batches of all ranks that begin at a position of an epoch; of its end both, with what makes it whole and without.

    Args:
        epoch: Its samples, or as many as are of interest.
        start: The position.
        world_size: Ranks that they are dealt out to.
        batch_size: Samples that the loader of a rank puts together.
    """
    rest = epoch[start:]
    num_whole = len(rest) // world_size * world_size
    missing = -len(rest) % world_size
    for samples in (rest[:num_whole], [*rest, *islice(cycle(epoch), missing)]) if missing else (rest,):
        for rank in range(world_size):
            own = samples[rank::world_size]
            yield from (tuple(own[begin : begin + batch_size]) for begin in range(0, len(own), batch_size))
