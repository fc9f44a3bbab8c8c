"""`token-batches/1`: batches of samples of like length, by a budget."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from resumable.samplers.arguments import flag, integer
from resumable.samplers.groups.groups import Cut, Groups
from resumable.samplers.groups.lengths import KnownLengths, Lengths
from resumable.samplers.orders import Samples
from resumable.samplers.orders.keyed import shuffled

_LIMIT = 2**62


class TokenBatches(Groups):
    """Batches by a budget of tokens, of samples of like length.

    The samples of a block of the stream are ordered by length, cut into batches as large as the budget lets them be, and
    the batches are shuffled. Larger blocks pad less; smaller ones are more random, and sooner found.

    Args:
        lengths: Tokens of each sample, see `Lengths`.
        max_tokens: The most tokens in a batch.
        padded: Whether padding counts: each sample is then as long as the longest of its batch.
        max_samples: The most samples in a batch, if there is a limit.
        block_size: Samples of the stream that are grouped at a time.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: a number is out of range, or a sample is longer than the budget.
    """

    name = "token-batches/1"

    def __init__(
        self,
        lengths: Lengths,
        max_tokens: int,
        *,
        padded: bool = True,
        max_samples: int | None = None,
        block_size: int = 8192,
    ) -> None:
        super().__init__(block_size=block_size, is_batch=True)
        self._max_tokens = integer("max_tokens", max_tokens, low=1, high=_LIMIT)
        self._padded = flag("padded", padded)
        self._max_samples = None if max_samples is None else integer("max_samples", max_samples, low=1, high=_LIMIT)
        self._lengths = KnownLengths(lengths, self._max_tokens)

    @property
    def parameters(self) -> dict[str, Any]:
        """Budget and block."""
        return {
            "max_tokens": self._max_tokens,
            "padded": self._padded,
            "max_samples": self._max_samples,
            "block_size": self.block_size,
        }

    def cut(self, samples: Samples, key: int) -> Cut:
        """Return the batches of a block's samples."""
        lengths = self._lengths.of(samples)
        # Samples of one length are in random order already: that of the stream.
        ascending = np.argsort(lengths, kind="stable")
        borders = self._borders(lengths[ascending])
        groups = np.split(samples[ascending].astype(np.int64), borders[1:-1])
        order = shuffled(len(groups), key)
        return Cut(
            samples=np.concatenate([groups[number] for number in order]) if groups else samples.astype(np.int64),
            sizes=np.diff(borders)[order],
        )

    def mark(self, samples: Samples) -> bytes:
        """Return the lengths of the samples."""
        return self._lengths.of(samples).astype("<i8").tobytes()

    def _borders(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where batches begin and end in a row of ascending lengths."""
        borders = [0]
        most = self._max_samples or len(lengths)
        sums = np.cumsum(lengths)
        while borders[-1] < len(lengths):
            first = borders[-1]
            spent = sums[first] - lengths[first]
            # No batch holds more samples than would fit if all were as long as its first, and shortest, one.
            stop = first + min(most, self._max_tokens // int(lengths[first]))
            part = lengths[first:stop]
            costs = part * np.arange(1, len(part) + 1) if self._padded else sums[first:stop] - spent
            borders.append(first + int(np.searchsorted(costs, self._max_tokens, side="right")))
        return np.array(borders, dtype=np.int64)
