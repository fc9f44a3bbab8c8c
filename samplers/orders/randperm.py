"""`randperm/1`: torch's own shuffle, kept as one array."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from resumable.samplers.orders.node_memory import shared_on_node
from resumable.samplers.orders.order import Order
from resumable.samplers.orders.shuffled_head import is_foreseeable, shuffled_head
from resumable.samplers.orders.stream import Positions, Samples, Stream

_INT32_LIMIT = 2**31
_HEAD_LENGTH = 4096
_MIN_NUM_SAMPLES_FOR_HEAD = 2**18
"""Below, torch has drawn the whole permutation before the head alone is found."""
_MIN_NUM_SAMPLES_TO_SHARE = 10**7
"""Below, what the ranks of a node would share is little beside a process with torch in it."""


@dataclass(frozen=True)
class RandpermOrder(Order):
    """The order that `RandomSampler` and `DistributedSampler` would use.

    `torch.randperm(num_samples)` on the CPU from a generator seeded with `seed + epoch`. Drawn in int32 where that
    suffices: it is the same permutation as in int64, in half the time and memory (4 bytes a sample). Of a long one the
    first samples are found at once, and the rest is drawn when somebody asks for it: from 10^7 samples on by one rank of
    a node for all of them.

    Seeds are added, so that seed 0 in epoch 1 is seed 1 in epoch 0: the price of being torch's order. Torch does not
    promise the same permutation in every release; the fingerprint in a sampler's state notices when it changes.

    Source: `torch.utils.data.DistributedSampler`.
    """

    name: str = "randperm/1"

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Return the permutation of an epoch, which takes time and memory that grow with `num_samples` once it is read."""
        foreseen = num_samples >= _MIN_NUM_SAMPLES_FOR_HEAD and is_foreseeable(num_samples)
        return _Permutation(num_samples, seed + epoch, _HEAD_LENGTH if foreseen else 0)


class _Permutation:
    def __init__(self, num_samples: int, seed: int, head_length: int) -> None:
        self._num_samples = num_samples
        self._seed = seed
        self._head_length = head_length

    def at(self, positions: Positions) -> Samples:
        in_head = bool(self._head_length) and int(positions.max(initial=0)) < self._head_length
        samples = self._head if in_head else self._whole
        return samples[positions]

    @cached_property
    def _head(self) -> NDArray[np.integer]:
        return shuffled_head(self._num_samples, self._seed, self._head_length)

    @cached_property
    def _whole(self) -> NDArray[np.integer]:
        dtype = np.int32 if self._num_samples < _INT32_LIMIT else np.int64
        if self._num_samples >= _MIN_NUM_SAMPLES_TO_SHARE and _has_peers():
            name = f"randperm-{torch.__version__}-{self._num_samples}-{self._seed}"
            whole = shared_on_node(name, self._num_samples, dtype, self._drawn)
        else:
            whole = self._drawn()
        if self._head_length and not np.array_equal(whole[: self._head_length], self._head):
            raise RuntimeError(
                f"torch {torch.__version__} draws a different permutation of {self._num_samples} samples than the one "
                "this epoch started with"
            )
        return whole

    def _drawn(self) -> NDArray[np.integer]:
        generator = torch.Generator().manual_seed(self._seed)
        dtype = torch.int32 if self._num_samples < _INT32_LIMIT else torch.int64
        drawn: NDArray[np.integer] = torch.randperm(self._num_samples, generator=generator, dtype=dtype).numpy()
        return drawn


def _has_peers() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
