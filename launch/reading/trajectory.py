"""What one process really trained on, derived from its lines by the rule of `evidence/consumption.py`."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property

import msgspec

from resumable.launch.errors import EvidenceError
from resumable.launch.evidence.consumption import ConsumedBatch, ConsumedStep, Consumption
from resumable.launch.evidence.history import Process
from resumable.launch.evidence.loop_profile import LoopProfile, roles_of
from resumable.launch.evidence.rank_records import AnyRecord, Batch, EpochBegin, Load, Loader, SkippedStep, Step
from resumable.launch.reading.step_table import Table
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import NO_STEP, TrainedBatch, TrainedStep


class Trajectory(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What one process trained on, in order."""

    process: Process
    steps: Steps
    unfinished: tuple[TrainedBatch, ...]
    """Batches with a backward pass whose step never came: the process ended before."""
    waiting: tuple[TrainedBatch, ...]
    """Batches that were received last and had no backward pass yet."""
    pass_ended: bool
    """The pass of the last trained batch ran to its end."""
    sampler_epoch: int | None
    """What the sampler took for its epoch when the first trained batch came."""
    loaders: dict[int, Loader]
    """Loaders that were trained on."""
    unfinished_losses: tuple[float | None, ...] = ()
    """One for each backward pass whose step never came."""
    left_out: tuple[int, ...] = ()
    """How many steps it had done each time when a gradient scaler left one out."""
    begin: int = 0
    """Line (`sequence`) from which on it counts."""

    @cached_property
    def _lines(self) -> array[int]:
        return self.steps.column("lines")

    def num_steps_before(self, sequence: int) -> int:
        """Steps that the process had done when it wrote its record of this number."""
        return bisect_left(self._lines, sequence + 1)

    def since(self, begin: int) -> Trajectory:
        """Without the steps before this line (`sequence`)."""
        num = self.num_steps_before(begin)
        left_out = tuple(number - num for number in self.left_out if number >= num)
        return msgspec.structs.replace(self, steps=self.steps[num:], left_out=left_out, begin=begin)

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        """What the process read before its first step, in order."""
        return tuple(r for r in self.process.events if isinstance(r, Load) and self.precedes_training(r))

    @property
    def loaded(self) -> tuple[str, ...]:
        """Files of these; "" for one without a name."""
        return tuple(load.path for load in self.loads)

    def precedes_training(self, record: AnyRecord) -> bool:
        """Whether the process wrote it before its first step, if it made one."""
        return not self._lines or record.sequence + 1 < self._lines[0]


def trace(process: Process, profile: LoopProfile) -> Trajectory:
    """What a process trained on.

    Time and memory: linear in the number of its lines.
    """
    roles = roles_of(process.records, by_inputs=process.rank in profile.ranks_without_loader)
    consumption = Consumption(profile, roles)
    steps, left_out = _RecordedSteps(process), list[int]()
    for record in process.records:
        done = consumption.follow(record)
        if done is not None:
            steps.append(done)
        elif isinstance(record, Step) and steps.table and record.after is not None:
            steps.join(record)
        elif isinstance(record, SkippedStep):
            left_out.append(len(steps.table))
    last = consumption.close() if process.exit is not None else None
    if last is not None:
        steps.append(last)
    loaders = {r.loader: r for r in process.events if isinstance(r, Loader)}
    trained = [*steps.ends, *(one.batch for one in consumption.unfinished)]
    return Trajectory(
        process=process,
        steps=Steps.in_table(steps.table),
        unfinished=_batches(consumption.unfinished),
        unfinished_losses=consumption.losses,
        left_out=tuple(left_out),
        waiting=_batches(consumption.waiting),
        pass_ended=bool(trained) and (trained[-1].loader, trained[-1].epoch) in consumption.ended,
        sampler_epoch=_sampler_epoch(process.events, trained[0] if trained else None),
        loaders={number: loaders[number] for number in roles.training if number in loaders},
    )


class _RecordedSteps:
    """The steps of a process, and where in its evidence they stand.

    Args:
        process: Whose records are read again where a step is looked at.
    """

    def __init__(self, process: Process) -> None:
        self._records = process.records
        self.table = Table(self._step)
        self.ends: tuple[Batch, ...] = ()
        """The first and the last batch of all."""
        self._batch_lines = array("I")
        self._backward_lines = array("I")
        """Of the first backward pass of each batch; 0 if it had none."""
        self._last_lines = array("I")
        """Of the last record of each step; 0 if it has none."""
        self._carrying: set[int] = set()

    def append(self, done: ConsumedStep) -> None:
        """Take note of the next step."""
        for one in done.batches:
            self.ends = (*self.ends[:1], one.batch)
            self._batch_lines.append(one.batch.sequence + 1)
            self._backward_lines.append(0 if one.backward is None else one.backward + 1)
        self._last_lines.append(0 if done.record is None else done.line)
        if done.carries:
            self._carrying.add(len(self.table))
        self.table.append(
            TrainedStep(
                batches=_batches(done.batches),
                losses=done.losses,
                scale=done.scale,
                record=done.record or NO_STEP,
                line=done.line,
                carries=done.carries,
            )
        )

    def join(self, later: Step) -> None:
        """Another optimizer did its part of the last step, if that has any record: what it left counts."""
        if self._last_lines[-1]:
            self._last_lines[-1] = later.sequence + 1
            self.table.update(later)

    def _step(self, number: int) -> TrainedStep:
        line, first = self.table.lines[number], self.table.first_batch(number)
        return TrainedStep(
            batches=tuple([self._batch(place) for place in range(first, self.table.ends[number])]),
            losses=self.table.losses_of(number),
            scale=self.table.scale_of(number),
            record=self._record(line, self._last_lines[number]),
            line=line,
            carries=number in self._carrying,
        )

    def _batch(self, place: int) -> TrainedBatch:
        batch = self._records[self._batch_lines[place] - 1]
        if not isinstance(batch, Batch):
            raise _changed(batch)
        return _trained(batch, epoch=self.table.epochs[place], backward_line=self._backward_lines[place] or None)

    def _record(self, line: int, last_line: int) -> Step:
        """All records of one step as one: what the last optimizer left counts."""
        if not last_line:
            return NO_STEP
        first, *later = self._records[line - 1 : last_line]
        if not isinstance(first, Step):
            raise _changed(first)
        record = first
        for one in later:
            if isinstance(one, Step) and one.after is not None:
                is_new = record.has_new_optimizer or one.has_new_optimizer
                record = msgspec.structs.replace(one, before=first.before, has_new_optimizer=is_new)
        return record


def _changed(found: AnyRecord) -> EvidenceError:
    return EvidenceError(f"line {found.sequence + 1} of the evidence changed while it was read")


def _batches(consumed: Iterable[ConsumedBatch]) -> tuple[TrainedBatch, ...]:
    return tuple([_batch(one) for one in consumed])


def _batch(one: ConsumedBatch) -> TrainedBatch:
    return _trained(one.batch, epoch=one.epoch, backward_line=None if one.backward is None else one.backward + 1)


def _trained(batch: Batch, *, epoch: int, backward_line: int | None) -> TrainedBatch:
    return TrainedBatch(
        loader=batch.loader,
        epoch=epoch,
        batch=batch.batch,
        key=batch.digest if batch.indices is None else tuple(batch.indices),
        line=batch.sequence + 1,
        digest=batch.digest,
        backward_line=backward_line,
    )


def _sampler_epoch(events: Iterable[AnyRecord], first: Batch | None) -> int | None:
    """What the sampler took for its epoch in the pass of the first batch."""
    if first is None:
        return None
    begins = (r for r in events if isinstance(r, EpochBegin) and (r.loader, r.epoch) == (first.loader, first.epoch))
    return next((begin.sampler_epoch for begin in begins), None)
