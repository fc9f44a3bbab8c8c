"""How the ranks' own counts of steps go together, where some ranks make fewer steps than others.

A rank with fewer batches may sit out the last steps of each epoch (`torch.distributed.algorithms.join`). Then "after eight
steps" on one rank is "after six" on another. What tells is content: ranks that step together have the same parameters
afterwards, and who sits out a step sits out those after it, until all are there again. Where all ranks make the same steps,
or hold shards, which are never the same, their counts are one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from resumable.launch.reading.step_table import UNKNOWN
from resumable.launch.reading.steps import Steps

_Key = tuple[int, int]
"""Fingerprint of the parameters after a step, and how often the rank had them before."""


class Lockstep:
    """Translates between a rank's own count of steps and one that is common to all ranks.

    Args:
        steps: What each rank trained on from the beginning; none: all counts are one.
    """

    def __init__(self, steps: Mapping[int, Steps]) -> None:
        columns = {rank: own.column("afters") for rank, own in steps.items()}
        self._places = {} if _are_alike(list(columns.values())) else _merged(columns)
        """Of each rank, the common count after each of its steps."""
        self._num_common = max((own[-1] for own in self._places.values() if own), default=0)

    def common(self, rank: int, num_steps: int) -> range:
        """The common counts while a rank has done so many steps, until its next one."""
        own = self._places.get(rank)
        if own is None:
            return range(num_steps, num_steps + 1)
        if num_steps >= len(own):
            first = (own[-1] if own else 0) + num_steps - len(own)
            return range(first, max(first, self._num_common if num_steps == len(own) else 0) + 1)
        return range(own[num_steps - 1] if num_steps else 0, own[num_steps])

    def own(self, rank: int, common: int) -> int:
        """The steps that a rank has done when the common count is this."""
        own = self._places.get(rank)
        return common if own is None else bisect_right(own, common) + max(0, common - self._num_common)


def _are_alike(columns: Sequence[array[int]]) -> bool:
    """Whether all ranks have the same, as far as each has come."""
    longest = max(columns, key=len, default=array("Q"))
    return all(column == longest[: len(column)] for column in columns)


def _merged(columns: Mapping[int, array[int]]) -> dict[int, array[int]]:
    """The steps of all ranks in one order, those with the same parameters afterwards at one place.

    Returns:
        Places of each rank's steps, from 1; empty if that is not how these ranks step together.
    """
    keys = {rank: list(_keys(column)) for rank, column in columns.items()}
    holders = Counter(key for own in keys.values() for key in own)
    if any(own[:1] == [(UNKNOWN, 0)] for own in keys.values()):
        return {}
    places = {rank: array("Q") for rank in keys}
    arrived: dict[_Key, list[int]] = {}
    waiting = deque(keys)
    """Ranks whose next step has not been looked at."""
    turns = [everyone := frozenset(keys)]
    """The ranks of each place; all before the first."""
    while waiting:
        rank = waiting.popleft()
        if len(places[rank]) == len(keys[rank]):
            continue
        key = keys[rank][len(places[rank])]
        there = arrived.setdefault(key, [])
        there.append(rank)
        if len(there) == holders[key]:
            for one in there:
                places[one].append(len(turns))
            turns.append(frozenset(there))
            waiting.extendleft(there)
    is_all = all(len(places[rank]) == len(own) for rank, own in keys.items())
    only_leave = all(now <= before or now == everyone for before, now in pairwise(turns))
    return places if is_all and only_leave and everyone in turns[1:] else {}


def _keys(column: array[int]) -> Iterator[_Key]:
    seen: Counter[int] = Counter()
    for after in column:
        yield after, seen[after]
        seen[after] += 1
