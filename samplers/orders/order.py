"""The contract of an order."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Stream(Protocol):
    """The samples of one epoch in their order: a pure function of the position."""

    def at(self, positions: range) -> NDArray[np.integer]:
        """Return the samples at `positions`, all within the stream, as a one-dimensional integer array."""


class Order(Protocol):
    """A way to arrange samples that depends on nothing but its name, the seed, the epoch and the number of samples."""

    @property
    def name(self) -> str:
        """Kind and version, as `randperm/1`. Any change of the order that it yields is a new version."""

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Return the stream of an epoch."""
