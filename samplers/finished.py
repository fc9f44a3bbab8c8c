"""What is finished out of order: a few runs of numbers, however many numbers they hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Finished:
    """Numbers that are finished among others that are not, as runs.

    Between two runs lies at least one number that is not finished: there are no more runs than such holes.
    """

    runs: tuple[tuple[int, int], ...] = ()
    """Half-open, ascending; they neither overlap nor touch."""

    @classmethod
    def of(cls, runs: Iterable[tuple[int, int]]) -> Self:
        """Return what is finished if all of these runs are, in whatever order they come and however they overlap."""
        merged: list[tuple[int, int]] = []
        for first, stop in sorted(runs):
            if first >= stop:
                continue
            if merged and first <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(stop, merged[-1][1])
            else:
                merged.append((first, stop))
        return cls(tuple(merged))

    @cached_property
    def count(self) -> int:
        """How many numbers are finished."""
        return sum(stop - first for first, stop in self.runs)

    def up_to(self, start: int) -> int:
        """Return the first number from `start` on that is not finished, where nothing before it is listed."""
        return self.runs[0][1] if self.runs and self.runs[0][0] <= start else start

    def behind(self, number: int) -> "Finished":
        """Return what is finished behind a number."""
        if not self.runs or self.runs[0][0] >= number:
            return self
        return Finished.of((max(first, number), stop) for first, stop in self.runs)

    def left(self, count: int) -> int:
        """Return the number of which `count` are before that are not finished, itself not finished; counted from 0."""
        return int(self.lefts(np.array([count]))[0]) if self.runs else count

    def lefts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `left` of each count, in an array of the same shape."""
        if not self.runs:
            return counts
        num_left_before, num_finished = self._steps
        return counts + num_finished[np.searchsorted(num_left_before, counts, side="right")]

    @cached_property
    def _steps(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each run how many numbers are left before it; and how many are finished with the first 0, 1, ... runs."""
        runs = np.array(self.runs, dtype=np.int64)
        num_finished = np.concatenate([[0], np.cumsum(runs[:, 1] - runs[:, 0])])
        return runs[:, 0] - num_finished[:-1], num_finished


NOTHING = Finished()
"""Everything is finished in order."""
