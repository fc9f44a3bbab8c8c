"""An order over chosen samples only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resumable.samplers.orders.order import Order
from resumable.samplers.orders.stream import Era, Positions, Stream


@dataclass(frozen=True, eq=False)
class ChosenOrder(Order):
    """Arranges the places in a list of samples as another order does, and yields the samples that stand there."""

    places: Order
    samples: NDArray[np.int64]

    @classmethod
    def of(cls, samples: Sequence[int], places: Order) -> "ChosenOrder":
        """Return the order of `samples` by `places`.

        Raises:
            ValueError: the samples are no one-dimensional sequence of integers that are not negative.
        """
        values = np.asarray(samples)
        if values.ndim != 1 or (values.size and not np.issubdtype(values.dtype, np.integer)):
            raise ValueError(f"indices of shape {values.shape} and type {values.dtype}: expected a row of integers")
        wrong = np.flatnonzero(values < 0)
        if wrong.size:
            raise ValueError(f"indices[{wrong[0]}]={values[wrong[0]]}: expected a sample's index, 0 or more")
        too_large = np.flatnonzero(values > np.iinfo(np.int64).max)
        if too_large.size:
            raise ValueError(f"indices[{too_large[0]}]={values[too_large[0]]}: expected one of 63 bits")
        return cls(places, values.astype(np.int64))

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the order of the places."""
        return self.places.name

    @property
    def parameters(self) -> dict[str, Any]:
        """What the order of the places depends on."""
        return self.places.parameters

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Return the stream of an epoch."""
        return _Chosen(self.places.stream(num_samples=num_samples, seed=seed, epoch=epoch), self.samples)

    def epoch_stream(self, eras: Sequence[Era], *, seed: int, epoch: int) -> Stream:
        """Return the stream of an epoch in which the list may have become longer."""
        return _Chosen(self.places.epoch_stream(eras, seed=seed, epoch=epoch), self.samples)


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    places: Stream
    samples: NDArray[np.int64]

    def at(self, positions: Positions) -> Positions:
        chosen: NDArray[np.int64] = self.samples[self.places.at(positions)]
        return chosen
