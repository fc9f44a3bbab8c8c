"""The steps of a rank, over all that its processes did: cut and joined without copying what they are made of."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeVar, overload

import msgspec

from resumable.launch.evidence.rank_records import Figure
from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.step_table import BatchColumn, FigureColumn, StepColumn, Table, fingerprint, together
from resumable.launch.reading.trained import TrainedStep, unscaled


class _Part(msgspec.Struct, frozen=True):
    """Steps of one table that follow each other."""

    table: Table
    begin: int
    end: int
    epoch: int
    """Is added to the epochs of all batches."""

    def __len__(self) -> int:
        return self.end - self.begin

    def cut(self, begin: int, end: int) -> _Part:
        return _Part(self.table, self.begin + max(0, begin), min(self.end, self.begin + end), self.epoch)

    def step(self, number: int) -> TrainedStep:
        step = self.table.step(self.begin + number)
        if not self.epoch:
            return step
        batches = [msgspec.structs.replace(batch, epoch=batch.epoch + self.epoch) for batch in step.batches]
        return msgspec.structs.replace(step, batches=tuple(batches))


class Steps(Sequence[TrainedStep]):
    """Steps in order, of one process or of several one after another; immutable, and cheap to cut and to join.

    Args:
        parts: Where they stand.
    """

    def __init__(self, parts: Iterable[_Part] = ()) -> None:
        self.parts = tuple(part for part in parts if part.begin < part.end)
        self._ends = tuple(accumulate(map(len, self.parts)))

    @staticmethod
    def of(steps: Iterable[TrainedStep]) -> Steps:
        """Steps that are kept as they are."""
        told = tuple(steps)
        table = Table(told.__getitem__)
        for step in told:
            table.append(step)
        return Steps.in_table(table)

    @staticmethod
    def in_table(table: Table) -> Steps:
        """All of a table."""
        return Steps([_Part(table, 0, len(table), 0)])

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[TrainedStep]:
        return (part.step(number) for part in self.parts for number in range(len(part)))

    @overload
    def __getitem__(self, index: int) -> TrainedStep: ...

    @overload
    def __getitem__(self, index: slice) -> Steps: ...

    def __getitem__(self, index: int | slice) -> TrainedStep | Steps:
        if isinstance(index, slice):
            begin, end, _ = index.indices(len(self))
            starts = (0, *self._ends)
            return Steps(part.cut(begin - start, end - start) for start, part in zip(starts, self.parts, strict=False))
        part, number = self._place(index)
        return part.step(number)

    def _place(self, index: int) -> tuple[_Part, int]:
        """The part in which a step lies, and its number there."""
        number = range(len(self))[index]
        place = bisect_right(self._ends, number)
        return self.parts[place], number - (self._ends[place - 1] if place else 0)

    def __add__(self, others: Steps) -> Steps:
        return Steps((*self.parts, *others.parts))

    def from_epoch(self, epoch: int) -> Steps:
        """The same steps with their epochs counted from `epoch` on."""
        return Steps(_Part(part.table, part.begin, part.end, part.epoch + epoch) for part in self.parts)

    def column(self, name: StepColumn) -> array[int]:
        """One number of each step: a fingerprint, `UNKNOWN` where there is none, or a line."""
        return _joined("Q", (getattr(part.table, name)[part.begin : part.end] for part in self.parts))

    def figures(self, name: FigureColumn) -> array[float]:
        """One figure of each step; `known` says whether it is."""
        return _joined("d", (getattr(part.table, name)[part.begin : part.end] for part in self.parts))

    def batch_column(self, name: BatchColumn) -> array[int]:
        """One number of each batch of all steps."""
        return _joined("q", (_of_batches(part, name) for part in self.parts))

    def losses_of(self, step: int) -> tuple[float | None, ...]:
        """One for each backward pass of a step, without what a gradient scaler multiplied it by."""
        part, number = self._place(step)
        place = part.begin + number
        return tuple([unscaled(loss, part.table.scale_of(place)) for loss in part.table.losses_of(place)])

    @property
    def settings(self) -> set[tuple[str, str]]:
        """What is known of optimizers: by the first parameter of each, and by setting."""
        return {name for part in self.parts for name in part.table.settings}

    def curve_of(self, setting: tuple[str, str]) -> dict[int, Sequence[Figure]]:
        """What a setting was: from which step on, in order, and its value in each group of the optimizer."""
        starts = (0, *self._ends)
        return {
            start + begin - part.begin: values
            for start, part in zip(starts, self.parts, strict=False)
            for begin, values in part.table.settings_of(setting, part.begin, part.end)
        }

    @property
    def num_batches(self) -> int:
        """Of all steps together."""
        return sum(part.table.first_batch(part.end) - part.table.first_batch(part.begin) for part in self.parts)

    def first_difference(self, other: Steps, *columns: StepColumn) -> int | None:
        """The first step that differs from that of the same number in any of these columns; None if none does.

        Where one of them ends before the other, they differ at that end.
        """
        found = (first_difference(self.column(name), other.column(name)) for name in columns)
        return min((number for number in found if number is not None), default=None)

    @property
    def num_idle(self) -> int:
        """Steps without any batch."""
        return self.column("keys").count(together([]))

    def epoch_ranges(self) -> dict[int, list[range]]:
        """Numbers of the steps that consumed batches of each epoch, as ranges in order."""
        ranges: dict[int, list[range]] = {}
        start = 0
        for part in self.parts:
            table = part.table
            for number in range(part.begin, part.end):
                place = start + number - part.begin
                for epoch in set(table.epochs[table.first_batch(number) : table.ends[number]]):
                    own = ranges.setdefault(epoch + part.epoch, [])
                    if own and own[-1].stop == place:
                        own[-1] = range(own[-1].start, place + 1)
                    else:
                        own.append(range(place, place + 1))
            start += len(part)
        return ranges

    def places_of(self, after: str) -> Iterator[int]:
        """Numbers of the steps after which the parameters had this digest."""
        wanted = fingerprint(after)
        column = self.column("afters")
        place = -1
        for _ in range(column.count(wanted)):
            place = column.index(wanted, place + 1)
            yield place


NOTHING = Steps()


def _of_batches(part: _Part, name: BatchColumn) -> array[int]:
    own: array[int] = getattr(part.table, name)[part.table.first_batch(part.begin) : part.table.first_batch(part.end)]
    return array(own.typecode, (epoch + part.epoch for epoch in own)) if name == "epochs" and part.epoch else own


_T = TypeVar("_T", int, float)


def _joined(typecode: str, columns: Iterable[array[_T]]) -> array[_T]:
    """One column of all; of this type if there is none."""
    first: array[_T] = next(columns := iter(columns), array(typecode))
    for other in columns:
        first.extend(other)
    return first
