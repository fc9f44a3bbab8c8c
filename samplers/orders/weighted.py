"""`weighted/1`: draws with replacement, some samples more often than others."""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resumable.samplers.orders.order import Stream

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class WeightedOrder:
    """Independent draws, each sample with a probability in proportion to its weight.

    Draw `p` of an epoch is found from the `p`-th number of a SplitMix64 generator that is seeded with a hash of
    (seed, epoch), so that no draw needs the ones before it: a seek costs nothing. The number is looked up among the
    summed weights, in time that grows with their logarithm. A sample of weight 0 is never drawn.

    Source: G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators" (2014).
    """

    cumulative: NDArray[np.float64]
    """Summed weights."""
    name: str = "weighted/1"

    @classmethod
    def of(cls, weights: Sequence[float]) -> "WeightedOrder":
        """Return the order that draws sample `i` with weight `weights[i]`.

        Raises:
            ValueError: the weights are no one-dimensional sequence, one is negative or not finite, or all are zero.
        """
        values = np.asarray(weights, dtype=np.float64)
        if values.ndim != 1:
            raise ValueError(f"weights of shape {values.shape}: expected one dimension")
        wrong = np.flatnonzero(~np.isfinite(values) | (values < 0))
        if wrong.size:
            raise ValueError(f"weights[{wrong[0]}]={values[wrong[0]]}: expected a finite number that is not negative")
        with np.errstate(over="ignore"):
            cumulative = np.cumsum(values)
        if not cumulative.size or not 0 < cumulative[-1] < np.inf:
            raise ValueError("weights: expected a positive and finite sum")
        return cls(cumulative)

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Return the draws of an epoch, the first ones of an endless row."""
        digest = hashlib.blake2b(struct.pack("<qq", seed, epoch), digest_size=8, person=b"weighted/1").digest()
        return _Draws(self.cumulative, np.frombuffer(digest, dtype="<u8").astype(np.uint64))


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    cumulative: NDArray[np.float64]
    start: NDArray[np.uint64]
    """State of the generator before the first draw, one element."""

    def at(self, positions: range) -> NDArray[np.int64]:
        counts = np.arange(positions.start + 1, positions.stop + 1, positions.step, dtype=np.uint64)
        total = self.cumulative[-1]
        # A product may round up to the sum itself, which lies behind the last sample.
        points = np.minimum(_uniform(self.start + counts * _GAMMA) * total, np.nextafter(total, 0))
        drawn: NDArray[np.int64] = np.searchsorted(self.cumulative, points, side="right").astype(np.int64)
        return drawn


def _uniform(state: NDArray[np.uint64]) -> NDArray[np.float64]:
    """SplitMix64's output for each state, as a number from 0 up to but not including 1."""
    mixed = state ^ (state >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
