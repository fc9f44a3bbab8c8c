"""What a stream of samples is, and the eras of one whose description was amended."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
"""Positions in a stream: a one-dimensional array, in any order."""
Samples = NDArray[np.integer]
"""Samples, one for each position."""


class Stream(Protocol):
    """The samples of one epoch, or of an endless run, in their order: a pure function of the position."""

    def at(self, positions: Positions) -> Samples:
        """Return the samples at `positions`, all within the stream, one for each. The argument is not changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Era:
    """What the stream is made of from a position on: up to the next era's beginning, or for good."""

    epoch: int = 0
    consumed: int = 0
    """Position in the epoch's stream at which it begins."""
    num_samples: int
    """Samples in the data set."""
    parameters: dict[str, Any]
    """`parameters` of the order."""

    @property
    def start(self) -> tuple[int, int]:
        """Epoch and position at which it begins."""
        return self.epoch, self.consumed
