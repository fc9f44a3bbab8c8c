"""Many failures with one cause: what lies between two of them would tell the same once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.causes import kind_of
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Scenario
from resumable.launch.sweep.grid import grids_of

NUM_MANY = 12
"""Failures with one cause, after which a sweep looks only for where the cause begins and ends, and for others."""


class Alike:
    """The failures of a sweep by cause, as they come.

    Args:
        points: Of the sweep.
        verdicts: Of its points so far, by name; what is entered later counts.
        num_many: So many failures with one cause are enough; infinite: each point is run.
    """

    def __init__(self, points: Sequence[Scenario], verdicts: Mapping[str, Verdict], *, num_many: float) -> None:
        grids = grids_of((point.faults, point.name) for point in points)
        self._rows = [[name for cell in row.cells for name in cell] for grid in grids for row in grid.rows]
        self._verdicts = verdicts
        self._num_many = num_many

    @property
    def is_any(self) -> bool:
        """Whether a cause has many failures."""
        return any(num >= self._num_many for num in self._counts.values())

    def are_news(self, chain: Scenario) -> bool:
        """Whether none of a chain's points stands between two such failures by now."""
        return self.between().isdisjoint(link.point for link in chain.links)

    def between(self) -> set[str]:
        """Names of the points without a verdict that stand between two failures with one cause that many have.

        Between means that the same fault hits the same ranks at a moment from one to the other, and that nothing else was
        seen there.
        """
        if not self.is_any:
            return set()
        counts = self._counts
        many = {kind for kind, num in counts.items() if num >= self._num_many}
        return {name for row in self._rows for name in self._between(row, many)}

    def _between(self, row: Sequence[str], many: set[tuple[str, ...]]) -> Iterator[str]:
        """Those of one row; it is in the order of its moments."""
        judged = [number for number, name in enumerate(row) if name in self._verdicts]
        for first, second in pairwise(judged):
            kind, other = kind_of(self._verdicts[row[first]]), kind_of(self._verdicts[row[second]])
            if kind == other and kind in many:
                yield from row[first + 1 : second]

    @property
    def _counts(self) -> Counter[tuple[str, ...]]:
        return Counter(kind_of(verdict) for verdict in self._verdicts.values() if verdict.outcome is not Outcome.VALID)
