"""`randperm/1`: torch's own shuffle, kept as one array."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from samplers.orders.order import Stream

_INT32_LIMIT = 2**31


@dataclass(frozen=True, slots=True)
class RandpermOrder:
    """The order that `RandomSampler` and `DistributedSampler` would use.

    `torch.randperm(num_samples)` on the CPU from a generator seeded with `seed + epoch`. Drawn in int32 where that
    suffices: it is the same permutation as in int64, in half the time and memory (4 bytes a sample).

    Seeds are added, so that seed 0 in epoch 1 is seed 1 in epoch 0: the price of being torch's order. Torch does not
    promise the same permutation in every release; the fingerprint in a sampler's state notices when it changes.

    Source: `torch.utils.data.DistributedSampler`.
    """

    name: str = "randperm/1"

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Draw the permutation of an epoch, in time and memory that grow with `num_samples`."""
        generator = torch.Generator().manual_seed(seed + epoch)
        dtype = torch.int32 if num_samples < _INT32_LIMIT else torch.int64
        return _Permutation(torch.randperm(num_samples, generator=generator, dtype=dtype).numpy())


@dataclass(frozen=True, slots=True)
class _Permutation:
    samples: NDArray[np.integer]

    def at(self, positions: range) -> NDArray[np.integer]:
        return self.samples[positions.start : positions.stop : positions.step]
