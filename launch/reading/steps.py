"""The steps of a rank as columns of numbers, so that a long training fits into memory.

What is compared in every step is kept as fingerprints of 64 bits; what a single step is made of is read again from the
evidence where somebody looks at it.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Literal, TypeVar, overload

import msgspec
import xxhash

from resumable.launch.evidence.rank_records import Index, Step
from resumable.launch.reading.differences import first_difference

BatchKey = tuple[Index, ...] | str | None
"""What two batches are compared by: their indices, else their content digest, else nothing."""

NO_STEP = Step(sequence=0, time_ns=0, step=0)
"""In place of the line of a step that has none: a job without an optimizer, or a process that was killed before it."""


class TrainedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that the job trained on."""

    loader: int
    epoch: int
    """Ordinal of its pass among the passes that were trained on: in its process, or since training began."""
    batch: int
    """Number of the batch in its pass, from 0."""
    key: BatchKey
    line: int
    """Where it stands in the file of its process, from 1."""
    digest: str | None = None
    """Of its content, where it was asked for or there are no indices."""
    backward_line: int | None = None
    """Where its first backward pass stands in that file; None if it had none."""

    @property
    def indices(self) -> tuple[Index, ...]:
        """The samples in their order; empty where the data set has no indices."""
        return self.key if isinstance(self.key, tuple) else ()

    @property
    def samples(self) -> tuple[Index, ...]:
        """What a report shows of it: its indices, or else the digest of its content."""
        return (self.key,) if isinstance(self.key, str) else self.indices


class TrainedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One optimizer step and the batches that it consumed."""

    batches: tuple[TrainedBatch, ...] = ()
    losses: tuple[float | None, ...] = ()
    """One for each backward pass."""
    record: Step = NO_STEP
    """Its line, joined with those of further optimizers of the same step."""
    line: int = 0
    """Where the step stands in the file of its process; 0 for a step that only other evidence shows."""
    carries: bool = False
    """Gradients that its process did not make are part of it."""

    @property
    def keys(self) -> tuple[BatchKey, ...]:
        """What the step is compared by."""
        return tuple([batch.key for batch in self.batches])

    @property
    def before(self) -> str | None:
        """Digest of the parameters before it; only on the first step of a process."""
        return self.record.before

    @property
    def after(self) -> str | None:
        """Digest of the parameters after it."""
        return self.record.after


_NOT_RECORDED = -math.inf
"""In a column of figures."""
UNKNOWN = 0
"""Fingerprint of what was not recorded."""
_encoder = msgspec.msgpack.Encoder()


def fingerprint(value: object) -> int:
    """64 bits that are equal for equal values, and different for different ones but for one case in 2^64."""
    return UNKNOWN if value is None else xxhash.xxh3_64_intdigest(_encoder.encode(value)) or 1


def _together(keys: Sequence[int]) -> int:
    """Of a step with any number of batches but one."""
    return fingerprint(["batches", *keys])


def _of_losses(losses: Iterable[float | None]) -> int:
    """A loss that is no number equals itself, and 0 equals -0."""
    return fingerprint(["nan" if x is not None and math.isnan(x) else x if x is None else x + 0.0 for x in losses])


OfStep = Literal["keys", "afters", "buffers", "losses", "lines"]
Figure = Literal["rates", "norms"]
OfBatch = Literal["batch_keys", "epochs", "nums_samples"]


class Table:
    """Columns of the steps of one process, and of their batches.

    Args:
        step: Reads a step again.
    """

    def __init__(self, step: Callable[[int], TrainedStep]) -> None:
        self.step = step
        self.keys = array("Q")
        """Fingerprints of what each step consumed."""
        self.afters = array("Q")
        """Of the parameters after it."""
        self.buffers = array("Q")
        self.losses = array("Q")
        self.rates = array("d")
        """Learning rates."""
        self.norms = array("d")
        """Of the parameters after it."""
        self.lines = array("I")
        self._loss_values = array("d")
        self._are_known = bytearray()
        self._loss_ends = array("I")
        """How many losses the steps up to this one have."""
        self.ends = array("I")
        """How many batches the steps up to this one have."""
        self.batch_keys = array("Q")
        self.epochs = array("i")
        self.nums_samples = array("I")

    def __len__(self) -> int:
        return len(self.keys)

    def append(self, step: TrainedStep) -> None:
        """Take note of the next step."""
        keys = [fingerprint(batch.key) for batch in step.batches]
        self.keys.append(keys[0] if len(keys) == 1 else _together(keys))
        self.afters.append(fingerprint(step.after))
        self.buffers.append(fingerprint(step.record.buffers))
        self.losses.append(_of_losses(step.losses))
        self._loss_values.extend([loss or 0.0 for loss in step.losses])
        self._are_known.extend([loss is not None for loss in step.losses])
        self._loss_ends.append(len(self._loss_values))
        self.rates.append(_number(step.record.learning_rate))
        self.norms.append(_number(step.record.parameter_norm))
        self.lines.append(step.line)
        for key, batch in zip(keys, step.batches, strict=True):
            self.batch_keys.append(key)
            self.epochs.append(batch.epoch)
            self.nums_samples.append(len(batch.samples))
        self.ends.append(len(self.batch_keys))

    def update(self, record: Step) -> None:
        """The last step has a further record: of another optimizer, which did its part of it."""
        self.afters[-1] = fingerprint(record.after)
        self.buffers[-1] = fingerprint(record.buffers)
        self.rates[-1] = _number(record.learning_rate)
        self.norms[-1] = _number(record.parameter_norm)

    def first_batch(self, step: int) -> int:
        """Number of the first batch of a step."""
        return self.ends[step - 1] if step else 0

    def losses_of(self, step: int) -> tuple[float | None, ...]:
        """One for each backward pass of a step."""
        places = range(self._loss_ends[step - 1] if step else 0, self._loss_ends[step])
        return tuple([self._loss_values[place] if self._are_known[place] else None for place in places])


def _number(value: float | None) -> float:
    return _NOT_RECORDED if value is None else value


def known(number: float) -> float | None:
    """A number of a column, or None where it was not recorded."""
    return None if number == _NOT_RECORDED else number


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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Steps) and len(self) == len(other) and all(map(TrainedStep.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

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

    def column(self, name: OfStep) -> array[int]:
        """One number of each step: a fingerprint, `UNKNOWN` where there is none, or a line."""
        return _joined("Q", (getattr(part.table, name)[part.begin : part.end] for part in self.parts))

    def figures(self, name: Figure) -> array[float]:
        """One figure of each step; `known` says whether it is."""
        return _joined("d", (getattr(part.table, name)[part.begin : part.end] for part in self.parts))

    def batch_column(self, name: OfBatch) -> array[int]:
        """One number of each batch of all steps."""
        return _joined("q", (_of_batches(part, name) for part in self.parts))

    def losses_of(self, step: int) -> tuple[float | None, ...]:
        """One for each backward pass of a step."""
        part, number = self._place(step)
        return part.table.losses_of(part.begin + number)

    @property
    def num_batches(self) -> int:
        """Of all steps together."""
        return sum(part.table.first_batch(part.end) - part.table.first_batch(part.begin) for part in self.parts)

    def first_difference(self, other: Steps, *columns: OfStep) -> int | None:
        """The first step that differs from that of the same number in any of these columns; None if none does.

        Where one of them ends before the other, they differ at that end.
        """
        found = (first_difference(self.column(name), other.column(name)) for name in columns)
        return min((number for number in found if number is not None), default=None)

    @property
    def num_idle(self) -> int:
        """Steps without any batch."""
        return self.column("keys").count(_together([]))

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


def _of_batches(part: _Part, name: OfBatch) -> array[int]:
    own: array[int] = getattr(part.table, name)[part.table.first_batch(part.begin) : part.table.first_batch(part.end)]
    return array(own.typecode, (epoch + part.epoch for epoch in own)) if name == "epochs" and part.epoch else own


_T = TypeVar("_T", int, float)


def _joined(typecode: str, columns: Iterable[array[_T]]) -> array[_T]:
    """One column of all; of this type if there is none."""
    first: array[_T] = next(columns := iter(columns), array(typecode))
    for other in columns:
        first.extend(other)
    return first
