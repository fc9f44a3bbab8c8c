"""Epoch after epoch of one data set, as one stream without a border."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from resumable.samplers.orders.stream import Era, Positions, Stream

_MAX_STREAMS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class _Span:
    """Epochs of one length."""

    start: int
    first_epoch: int
    length: int


class Run:
    """All epochs of an order, one behind the other.

    Finding a position takes no longer the further away it is. Where the data set grows, the epoch that is under way ends
    later, and those that follow are longer.

    Args:
        eras: In the order of their starts, which are positions of the run.
        epochs: Gives the stream of an epoch, from eras whose starts are positions in epochs, and its number.
        length: Gives the length of an epoch over so many samples.

    Raises:
        ValueError: there are no samples.
    """

    def __init__(
        self,
        eras: Sequence[Era],
        epochs: Callable[[Sequence[Era], int], Stream],
        length: Callable[[int], int],
    ) -> None:
        self._epochs = epochs
        self._length = length
        self._streams: dict[int, Stream] = {}
        self._spans = [_Span(start=0, first_epoch=0, length=self._positive(eras[0]))]
        self._eras = [eras[0]]
        for era in eras[1:]:
            self._grow(era)
        self._starts = np.array([span.start for span in self._spans], dtype=np.int64)

    def at(self, positions: Positions) -> Positions:
        """Return the samples at `positions`."""
        samples = np.empty(len(positions), dtype=np.int64)
        for number, chosen in split(np.searchsorted(self._starts, positions, side="right") - 1):
            span = self._spans[number]
            laps, offsets = np.divmod(positions[chosen] - span.start, span.length)
            for lap, members in split(laps):
                samples[chosen[members]] = self._stream(span.first_epoch + lap).at(offsets[members])
        return samples

    def _stream(self, epoch: int) -> Stream:
        if epoch not in self._streams:
            for oldest in list(self._streams)[: 1 - _MAX_STREAMS]:
                del self._streams[oldest]
            self._streams[epoch] = self._epochs(self._eras, epoch)
        return self._streams[epoch]

    def _grow(self, era: Era) -> None:
        span = self._spans[-1]
        laps, consumed = divmod(era.consumed - span.start, span.length)
        start, epoch = span.start + laps * span.length, span.first_epoch + laps
        self._spans.append(_Span(start=start, first_epoch=epoch, length=self._positive(era)))
        self._eras.append(Era(epoch=epoch, consumed=consumed, num_samples=era.num_samples, parameters=era.parameters))

    def _positive(self, era: Era) -> int:
        length = self._length(era.num_samples)
        if not length:
            raise ValueError("num_samples=0: an endless run needs a sample")
        return length


def split(values: Positions) -> list[tuple[int, Positions]]:
    """Return each value that occurs, with the places where it does."""
    if not len(values):
        return []
    if values[0] == values[-1] and (values == values[0]).all():
        return [(int(values[0]), np.arange(len(values)))]
    places = np.argsort(values, kind="stable")
    found, firsts = np.unique(values[places], return_index=True)
    return [(int(value), part) for value, part in zip(found, np.split(places, firsts[1:]), strict=True)]
