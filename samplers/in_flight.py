"""The samples of a pass that somebody works on, and those that are finished, in whatever order."""

from collections import Counter
from collections.abc import Sequence

from resumable.samplers.deal import Item
from resumable.samplers.finished import NOTHING, Finished

_MAX_RUNS = 2**14


class InFlight:
    """Which rows of a pass were drawn and are not finished, by their samples.

    Memory grows with what is in flight, and not with how far the rest has gone on meanwhile.
    """

    def __init__(self) -> None:
        self.finished = NOTHING
        """Rows that are finished."""
        self.num_drawn = 0
        self._rows: dict[int, list[int]] = {}
        """Each sample's rows: one, unless an endless stream has come to it again or it is padding."""
        self._samples: dict[int, list[int]] = {}

    @property
    def num_rows(self) -> int:
        """How many rows were drawn and are not finished."""
        return len(self._samples)

    def draw(self, items: Sequence[Item]) -> None:
        """Note the rows that were drawn since the last time."""
        for row, item in enumerate(items, self.num_drawn):
            self._samples[row] = item if isinstance(item, list) else [item]
            for sample in self._samples[row]:
                self._rows.setdefault(sample, []).append(row)
        self.num_drawn += len(items)

    def finish(self, samples: Sequence[int]) -> None:
        """Note that samples are finished; of a sample that is in flight twice, the one that was drawn first.

        Raises:
            ValueError: some are not in flight, or not with their whole group, or too many holes are left behind.
        """
        unknown = [sample for sample in samples if sample not in self._rows]
        if unknown:
            raise ValueError(
                f"samples={unknown[:5]}: not in flight: they were not drawn in this pass, or are finished already"
            )
        left = Counter(samples)
        candidates = {row for sample in left for row in self._rows[sample]}
        rows = []
        # Larger groups first: of [5] and [5, 7] in flight, both samples together can only mean the second.
        for row in sorted(candidates, key=lambda row: (-len(self._samples[row]), row)):
            needed = Counter(self._samples[row])
            if all(left[sample] >= count for sample, count in needed.items()):
                rows.append(row)
                left.subtract(needed)
        if any(left.values()):
            wrong = [sample for sample, count in left.items() if count]
            raise ValueError(
                f"samples={wrong[:5]}: drawn less often than they are said to be finished, or grouped with samples that "
                "are not: a group is finished as a whole"
            )
        self.finish_rows(rows)

    def finish_rows(self, rows: Sequence[int]) -> None:
        """Note that rows are finished, some of which may have been before.

        Raises:
            ValueError: too many holes are left behind.
        """
        finished = Finished.of([*self.finished.runs, *((row, row + 1) for row in rows)])
        if len(finished.runs) > _MAX_RUNS:
            raise ValueError(
                f"{self.num_rows} samples were drawn and never finished, with finished ones between: a state holds at most "
                f"{_MAX_RUNS} such holes; commit what was given up as well"
            )
        self.finished = finished
        for row in rows:
            for sample in self._samples.pop(row, ()):
                self._rows[sample].remove(row)
                if not self._rows[sample]:
                    del self._rows[sample]
