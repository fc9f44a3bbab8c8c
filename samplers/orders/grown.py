"""An epoch to which samples were added in its middle."""

import numpy as np

from resumable.samplers.orders.stream import Positions, Stream


class Grown:
    """A stream that was left at a position, and goes on with what was left of it and with samples that are new."""

    def __init__(self, before: Stream, rest: Stream, *, start: int, num_samples: int) -> None:
        self._before = before
        self._rest = rest
        self._start = start
        self._num_samples = num_samples

    def at(self, positions: Positions) -> Positions:
        """Return the samples at `positions`."""
        places = np.array(positions, dtype=np.int64)
        behind = places >= self._start
        places[behind] = self._start + self._rest.at(places[behind] - self._start)
        samples = places
        old = places < self._num_samples
        samples[old] = self._before.at(places[old])
        return samples
