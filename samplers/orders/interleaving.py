"""Which member of a mixture comes at a position: in closed form, so that no position needs the ones before it."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from resumable.samplers.orders.keyed import hashes
from resumable.samplers.orders.stream import Positions

_SLOT_BITS = 5
_NUM_SLOTS = 1 << _SLOT_BITS
_PHASE_BITS = 62 - _SLOT_BITS
_WHOLE = 1 << 62
_MAX_POSITIONS = 8192


class Interleaving:
    """A row of members in which each has its share of every block of 32 positions, up to one.

    The members divide the interval from 0 to 1 by their weights. Block `b` has 32 points in it, `(i + phase(b)) / 32` for
    slot `i`, and each belongs to the member in whose part it lies. The phases are van der Corput's sequence, of which it is
    known without counting how many of the first `b` lie below a bound: so it is known how often each member has come before
    any block, in time that grows with the logarithm of its number. Within a block, the slots are shuffled by a key.

    Source: J. G. van der Corput, "Verteilungsfunktionen" (1935).

    Args:
        weights: One for each member, 0 or more, at least one of them positive.
        key: Key of the shuffles.
    """

    def __init__(self, weights: Sequence[float], key: int) -> None:
        exact = [Fraction(weight) for weight in weights]
        total = sum(exact)
        sums = [sum(exact[: number + 1]) for number in range(len(exact))]
        self._ends = np.array([int(value * _WHOLE / total) for value in sums], dtype=np.int64)
        self._begins = np.concatenate([[0], self._ends[:-1]]).astype(np.int64)
        self._key = key

    def members(self, positions: Positions) -> tuple[Positions, Positions]:
        """Return the member at each position, and how many of its samples come before that."""
        # Each position may lie in a block of its own, of which all is found out: in parts, so that memory is bounded.
        parts = [
            self._members(positions[first : first + _MAX_POSITIONS])
            for first in range(0, max(len(positions), 1), _MAX_POSITIONS)
        ]
        members, counts = zip(*parts, strict=True)
        return np.concatenate(members), np.concatenate(counts)

    def counts(self, num_positions: int) -> Positions:
        """Return how many samples of each member the first positions hold."""
        block, rest = divmod(num_positions, _NUM_SLOTS)
        known = np.array([block], dtype=np.int64)
        everyone = np.arange(len(self._ends), dtype=np.int64)
        members, _ = self._blocks(known)
        begun = np.bincount(members[0, :rest], minlength=len(self._ends))
        return self._before(np.zeros_like(everyone), everyone, known) + begun

    def _members(self, positions: Positions) -> tuple[Positions, Positions]:
        blocks, places = np.divmod(positions, _NUM_SLOTS)
        known, of_known = np.unique(blocks, return_inverse=True)
        members_of, ranks_of = self._blocks(known)
        members = members_of[of_known, places]
        pairs, of_pairs = np.unique(of_known * len(self._ends) + members, return_inverse=True)
        before = self._before(*np.divmod(pairs, len(self._ends)), known)
        return members, before[of_pairs] + ranks_of[of_known, places]

    def _blocks(self, blocks: Positions) -> tuple[Positions, Positions]:
        """For each place in the blocks, its member, and how many of the block's earlier places have the same one.

        Arrays of shape `(number of blocks, 32)`.
        """
        counts = (blocks[:, None] * _NUM_SLOTS + np.arange(_NUM_SLOTS)).astype(np.uint64)
        slots = np.argsort(hashes(self._key, counts), axis=1, kind="stable")
        points = (slots << _PHASE_BITS) + _phases(blocks)[:, None]
        members = np.searchsorted(self._ends, points.ravel(), side="right").reshape(points.shape)
        # Ordered by member, and for one member by place, a place stands behind all places of the members before its own.
        ordered = np.argsort(members, axis=1, kind="stable")
        sorted_members = np.take_along_axis(members, ordered, axis=1)
        numbers = np.arange(_NUM_SLOTS)
        is_first = np.ones_like(sorted_members, dtype=bool)
        is_first[:, 1:] = sorted_members[:, 1:] != sorted_members[:, :-1]
        firsts = np.maximum.accumulate(np.where(is_first, numbers, 0), axis=1)
        ranks = np.empty_like(members)
        np.put_along_axis(ranks, ordered, numbers - firsts, axis=1)
        return members, ranks

    def _before(self, of_known: Positions, members: Positions, known: Positions) -> Positions:
        """How many samples of each member come before its block."""
        blocks = known[of_known]
        return _num_points(blocks, self._ends[members]) - _num_points(blocks, self._begins[members])


def _num_points(blocks: Positions, bounds: Positions) -> Positions:
    """How many points of all blocks before each of `blocks` lie below a bound."""
    whole, rest = bounds >> _PHASE_BITS, bounds & ((1 << _PHASE_BITS) - 1)
    return blocks * whole + _num_phases(blocks, rest)


def _phases(blocks: Positions) -> Positions:
    """Van der Corput's sequence: the bits of the number in the opposite order."""
    phases = np.zeros_like(blocks)
    for bit in range(_num_bits(blocks)):
        phases |= ((blocks >> bit) & 1) << (_PHASE_BITS - 1 - bit)
    return phases


def _num_phases(blocks: Positions, bounds: Positions) -> Positions:
    """How many phases of the blocks before each of `blocks` lie below a bound.

    Numbers below `b` are those that share its bits above bit `j`, have a 0 where it has a 1 at `j`, and anything below: for
    each `j`, phases at equal distances.
    """
    found, shared = np.zeros_like(blocks), np.zeros_like(blocks)
    for bit in reversed(range(_num_bits(blocks))):
        is_set = (blocks >> bit) & 1
        distance = _PHASE_BITS - bit
        below: NDArray[np.int64] = (bounds - shared + ((1 << distance) - 1)) >> distance
        found += is_set * np.maximum(below, 0)
        shared |= is_set << (distance - 1)
    return found


def _num_bits(blocks: Positions) -> int:
    return int(blocks.max(initial=0)).bit_length()
