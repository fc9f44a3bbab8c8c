"""`sequential/1`: the samples as they lie."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resumable.samplers.orders.order import Stream


@dataclass(frozen=True, slots=True)
class SequentialOrder:
    """Sample `i` at position `i`, whatever seed and epoch are. Time and memory per block only."""

    name: str = "sequential/1"

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Return the stream `0, 1, 2, ...`."""
        return _Ascending()


class _Ascending:
    def at(self, positions: range) -> NDArray[np.int64]:
        return np.arange(positions.start, positions.stop, positions.step, dtype=np.int64)
