"""The contract of a way to group samples."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resumable.samplers.arguments import integer
from resumable.samplers.orders import Samples

_LIMIT = 2**31


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A block of samples in groups."""

    samples: NDArray[np.int64]
    """The block's samples, in the order in which they are dealt out."""
    sizes: NDArray[np.int64]
    """Number of samples in each group, from the first on."""


class Groups(ABC):
    """Cuts a stream of samples into groups, block by block: a pure function of a block's samples and of a key.

    A block is a part of the stream of fixed length; so a seek costs one of them, and each sample is in one group.

    Args:
        block_size: Samples of the stream that are grouped at a time.
        is_batch: Whether a group is a batch of its own, not an item of one.

    Raises:
        TypeError: `block_size` is no integer.
        ValueError: it is out of range.
    """

    name: str
    """Kind and version. Any change of the groups that it makes is a new version."""

    def __init__(self, *, block_size: int, is_batch: bool) -> None:
        self.block_size = integer("block_size", block_size, low=1, high=_LIMIT)
        self.is_batch = is_batch

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """What the groups depend on, as plain data that survives JSON."""

    @abstractmethod
    def cut(self, samples: Samples, key: int) -> Cut:
        """Return the groups of a block's samples."""

    @abstractmethod
    def mark(self, samples: Samples) -> bytes:
        """Return what of the samples themselves the groups depend on, for the digest in a state."""
