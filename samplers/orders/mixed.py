"""The run of a mixture, through all of its eras."""

from collections.abc import Sequence

import numpy as np

from resumable.samplers.orders.ingredients import Ingredients
from resumable.samplers.orders.interleaving import Interleaving
from resumable.samplers.orders.keyed import key, seed_of
from resumable.samplers.orders.order import Order
from resumable.samplers.orders.run import split
from resumable.samplers.orders.stream import Era, Positions, Stream


class MixedRun:
    """Samples of several data sets, as indices into all of them one behind the other, as long as they are in the last era.

    Args:
        starts: Position at which each era begins, in ascending order, from 0.
        eras: What holds from there.
        orders: Order of each member of the last era.
        seed: Seed of the mixture.

    Raises:
        ValueError: the parameters of an era are damaged.
    """

    def __init__(self, starts: Sequence[int], eras: Sequence[Era], orders: Sequence[Order], seed: int) -> None:
        described = [Ingredients.of(era) for era in eras]
        self._starts = np.array(starts, dtype=np.int64)
        self._interleavings = [
            Interleaving(era.weights, key("mixture/1", seed, start))
            for start, era in zip(starts, described, strict=True)
        ]
        self._before = self._counts_before(len(described[-1].members))
        self._offsets = np.cumsum([0, *described[-1].sizes[:-1]])
        self._runs = [
            order.run(_eras_of(member, described, self._before), seed=seed_of("mixture/1.member", seed, name))
            for member, (order, name) in enumerate(zip(orders, described[-1].names, strict=False))
        ]

    def at(self, positions: Positions) -> Positions:
        """Return the samples at `positions`."""
        samples = np.empty(len(positions), dtype=np.int64)
        for era, places in split(np.searchsorted(self._starts, positions, side="right") - 1):
            members, counts = self._interleavings[era].members(positions[places] - self._starts[era])
            for member, of_places in split(members):
                drawn = self._runs[member].at(counts[of_places] + self._before[era][member])
                samples[places[of_places]] = drawn + self._offsets[member]
        return samples

    def _counts_before(self, num_members: int) -> list[Positions]:
        """How many samples of each member come before each era."""
        counts = [np.zeros(num_members, dtype=np.int64)]
        for interleaving, length in zip(self._interleavings, np.diff(self._starts).tolist(), strict=False):
            found = interleaving.counts(length)
            counts.append(counts[-1] + np.pad(found, (0, num_members - len(found))))
        return counts


class Piece:
    """A part of a stream."""

    def __init__(self, whole: Stream, start: int) -> None:
        self._whole = whole
        self._start = start

    def at(self, positions: Positions) -> Positions:
        """Return the samples at `positions`, counted from the part's beginning."""
        return np.asarray(self._whole.at(positions + self._start), dtype=np.int64)


def _eras_of(member: int, described: Sequence[Ingredients], before: Sequence[Positions]) -> list[Era]:
    """A member's own eras: it begins where it joins, and grows where it has grown."""
    found: list[Era] = []
    for era, counts in zip(described, before, strict=True):
        if member < len(era.members):
            size, order = era.sizes[member], era.members[member].of
            parameters = {name: value for name, value in order.items() if name != "order"}
            if not found or (found[-1].num_samples, found[-1].parameters) != (size, parameters):
                found.append(Era(consumed=int(counts[member]), num_samples=size, parameters=parameters))
    return found
