"""`weighted/1`: draws with replacement, some samples more often than others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from resumable.samplers.orders.keyed import hashes, key
from resumable.samplers.orders.order import Order
from resumable.samplers.orders.stream import Era, Positions, Stream


@dataclass(frozen=True, eq=False)
class WeightedOrder(Order):
    """Independent draws, each sample with a probability in proportion to its weight.

    Draw `p` of an epoch is found from the `p`-th number of a SplitMix64 generator that is seeded with a hash of
    (seed, epoch), so that no draw needs the ones before it: a seek costs nothing. The number is looked up among the
    summed weights, in time that grows with their logarithm. A sample of weight 0 is never drawn.

    Source: G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators" (2014).
    """

    cumulative: NDArray[np.float64]
    """Summed weights."""
    name: str = "weighted/1"
    is_permutation = False

    @classmethod
    def of(cls, weights: Sequence[float]) -> "WeightedOrder":
        """Return the order that draws sample `i` with weight `weights[i]`.

        Raises:
            ValueError: the weights are no one-dimensional sequence, one is negative or not finite, or all are zero.
        """
        # NumPy has no bfloat16.
        tensor = weights.detach().to(torch.float64) if isinstance(weights, torch.Tensor) else weights
        values = np.asarray(tensor, dtype=np.float64)
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
        return _Draws(self.cumulative, key("weighted/1", seed, epoch))

    def epoch_stream(self, eras: Sequence[Era], *, seed: int, epoch: int) -> Stream:
        """Return the draws of an epoch: more of them are the next ones of the row."""
        return self.stream(num_samples=eras[-1].num_samples, seed=seed, epoch=epoch)


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    cumulative: NDArray[np.float64]
    start: int
    """Key of the generator."""

    def at(self, positions: Positions) -> Positions:
        uniform = (hashes(self.start, positions.astype(np.uint64) + np.uint64(1)) >> np.uint64(11)) * 2.0**-53
        total = self.cumulative[-1]
        # A product may round up to the sum itself, which lies behind the last sample.
        points = np.minimum(uniform * total, np.nextafter(total, 0))
        drawn: NDArray[np.int64] = np.searchsorted(self.cumulative, points, side="right").astype(np.int64)
        return drawn
