"""`sequential/1`: the samples as they lie."""

from dataclasses import dataclass

from resumable.samplers.orders.order import Order
from resumable.samplers.orders.stream import Positions, Stream


@dataclass(frozen=True)
class SequentialOrder(Order):
    """Sample `i` at position `i`, whatever seed and epoch are. Time and memory per block only."""

    name: str = "sequential/1"

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Return the stream `0, 1, 2, ...`."""
        return _Ascending()


class _Ascending:
    def at(self, positions: Positions) -> Positions:
        return positions
