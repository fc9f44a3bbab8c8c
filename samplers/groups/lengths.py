"""How long each sample is."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from resumable.samplers.orders import Samples

Lengths = Sequence[int] | NDArray[np.integer] | Callable[[NDArray[np.int64]], NDArray[np.integer]]
"""One length for each sample, or a function that gives those of an array of samples; each 1 or more."""


class KnownLengths:
    """Lengths of samples, each from 1 to a limit.

    Args:
        lengths: See `Lengths`. An array is not copied, so that it may be a memory-mapped one.
        limit: The longest that there may be.

    Raises:
        ValueError: the lengths are no row of integers, or one is out of range.
    """

    def __init__(self, lengths: Lengths, limit: int) -> None:
        self._limit = limit
        self._function = lengths if callable(lengths) else None
        if not callable(lengths):
            self._row = np.asarray(lengths)
            if self._row.ndim != 1 or not (np.issubdtype(self._row.dtype, np.integer) or not self._row.size):
                raise ValueError(
                    f"lengths of shape {self._row.shape} and type {self._row.dtype}: expected a row of integers"
                )
            self._checked(self._row, np.arange(self._row.size))

    def of(self, samples: Samples) -> NDArray[np.int64]:
        """Return the lengths of samples.

        Raises:
            ValueError: the function gives something else, or a length is out of range, or unknown.
        """
        if self._function is not None:
            found = np.asarray(self._function(samples.astype(np.int64)))
            if found.shape != samples.shape:
                raise ValueError(f"lengths of shape {found.shape} for {samples.size} samples: expected one for each")
            return self._checked(found, samples)
        if samples.max(initial=-1) >= self._row.size:
            raise ValueError(f"lengths: {self._row.size} of them, but there is a sample {samples.max()}")
        return self._row[samples].astype(np.int64)

    def _checked(self, lengths: NDArray[np.integer], samples: Samples) -> NDArray[np.int64]:
        wrong = np.flatnonzero((lengths < 1) | (lengths > self._limit))
        if wrong.size:
            raise ValueError(
                f"sample {samples[wrong[0]]} has length {lengths[wrong[0]]}: expected one from 1 to {self._limit}, so that "
                "it fits by itself; leave such samples out, or cut them"
            )
        return lengths.astype(np.int64)
