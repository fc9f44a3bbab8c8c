"""What one process really trained on, derived from its lines of evidence.

Handed out, delivered and consumed are three things. A batch that the loop received is consumed by the next optimizer
step if a backward pass ended in between and no other batch of the same loader came first; otherwise it was discarded: a
script that fast-forwards after its restart, peeks at a batch or validates does so, and is right to. Several batches
may belong to one step (gradient accumulation). A step without a backward pass before it is the second optimizer's part
of the step before, or a phantom by which checkpoint libraries fill optimizer state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, EpochBegin, EpochEnd, Index, Loader, Step
from resumable.launch.reading.loop_profile import Traits, training_loaders

BatchKey = tuple[Index, ...] | str | None
"""What two batches are compared by: their indices, else their content digest, else nothing."""


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
    before: str | None = None
    """Digest of the parameters before it; only on the first step of a process."""
    after: str | None = None
    buffers: str | None = None
    has_new_optimizer: bool = False
    """An optimizer had no state before it, and has some after it."""
    scheduler_steps: int | None = None
    """What its scheduler had counted."""
    learning_rate: float | None = None
    line: int = 0
    """Where the step stands in the file of its process; 0 for a step that only other evidence shows."""

    @property
    def keys(self) -> tuple[BatchKey, ...]:
        """What the step is compared by."""
        return tuple([batch.key for batch in self.batches])


Steps = tuple[TrainedStep, ...]


class Trajectory(msgspec.Struct, frozen=True, kw_only=True):
    """What one process trained on, in order."""

    process: Process
    steps: tuple[TrainedStep, ...]
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


def trace(process: Process, traits: Traits) -> Trajectory:
    """What a process trained on.

    Time and memory: linear in the number of its lines.
    """
    tracer = _Tracer(training_loaders(process.records, by_inputs=process.rank in traits.by_inputs), traits)
    for record in process.records:
        tracer.read(record)
    tracer.close(is_finished=process.exit is not None)
    groups = [*(step.batches for step in tracer.steps), tracer.unfinished, tracer.waiting]
    epochs = _epochs([(batch.loader, batch.epoch) for group in groups for batch in group], traits.side_by_side)
    trained = [tuple([_trained(batch, epochs) for batch in group]) for group in groups]
    consumed = [batch for step in tracer.steps for batch in step.batches] + tracer.unfinished
    return Trajectory(
        process=process,
        steps=tuple([step.freeze(batches) for step, batches in zip(tracer.steps, trained, strict=False)]),
        unfinished=trained[-2],
        waiting=trained[-1],
        pass_ended=bool(consumed) and (consumed[-1].loader, consumed[-1].epoch) in tracer.ended,
        sampler_epoch=_sampler_epoch(process.records, consumed),
        loaders={number: tracer.loaders[number] for number in tracer.training if number in tracer.loaders},
    )


class _OpenStep:
    """A step while its lines are read."""

    def __init__(self, batches: list[Batch], losses: list[float | None], record: Step | None, line: int) -> None:
        self.batches = batches
        self.losses = losses
        self.before = record.before if record else None
        self.after = record.after if record else None
        self.buffers = record.buffers if record else None
        self.has_new_optimizer = record.has_new_optimizer if record else False
        self.scheduler_steps = record.scheduler_steps if record else None
        self.learning_rate = record.learning_rate if record else None
        self.line = line

    def freeze(self, batches: tuple[TrainedBatch, ...]) -> TrainedStep:
        return TrainedStep(
            batches=batches,
            losses=tuple(self.losses),
            before=self.before,
            after=self.after,
            buffers=self.buffers,
            has_new_optimizer=self.has_new_optimizer,
            scheduler_steps=self.scheduler_steps,
            learning_rate=self.learning_rate,
            line=self.line,
        )


class _Tracer:
    """Reads the lines of one process in order and assigns batches to steps."""

    def __init__(self, training: frozenset[int], traits: Traits) -> None:
        self.training = training
        self.has_steps = traits.has_steps
        self.takes_together = traits.takes_together
        self.steps: list[_OpenStep] = []
        self.unfinished: list[Batch] = []
        self.waiting: list[Batch] = []
        self.loaders: dict[int, Loader] = {}
        self.ended: set[tuple[int, int]] = set()
        self._losses: list[float | None] = []
        self._line = 0
        self._backward_line = 0
        self._has_begun = not training

    def read(self, record: AnyRecord) -> None:
        self._line = record.sequence + 1
        self._has_begun |= isinstance(record, Batch) and record.loader in self.training
        if not self._has_begun and isinstance(record, Backward | Step):
            return  # a script may warm up with batches of its own making
        match record:
            case Batch() if record.loader in self.training and record.grad_enabled:
                self._read_batch(record)
            case Backward():
                if not self.takes_together:
                    self._consume(self.waiting)
                self._losses.append(record.loss)
                self._backward_line = self._line
            case Step():
                self._read_step(record)
            case EpochEnd():
                self.ended.add((record.loader, record.epoch))
                self._drop_waiting(record.loader)
            case Loader():
                self.loaders[record.loader] = record

    def close(self, *, is_finished: bool) -> None:
        """End of the file. Without optimizer steps, only a script that went on proves its last update."""
        if not self.has_steps and is_finished and self._losses:
            self._finish_step(None)

    def _read_batch(self, record: Batch) -> None:
        if not self.has_steps and self._losses:
            self._finish_step(None)
        self._drop_waiting(record.loader)
        self.waiting.append(record)

    def _drop_waiting(self, loader: int) -> None:
        """A batch that the next one of its loader follows was not trained on."""
        if not self.takes_together:
            self.waiting = [batch for batch in self.waiting if batch.loader != loader]

    def _consume(self, batches: list[Batch]) -> None:
        self.unfinished.extend(batches)
        self.waiting = []

    def _read_step(self, record: Step) -> None:
        if self._losses:
            self._finish_step(record)
        elif self.steps and record.after is not None:
            self.steps[-1].after = record.after
            self.steps[-1].buffers = record.buffers
            self.steps[-1].has_new_optimizer |= record.has_new_optimizer

    def _finish_step(self, record: Step | None) -> None:
        if self.takes_together:
            self._consume(self.waiting[-len(self._losses) :])
        line = self._line if record else self._backward_line
        self.steps.append(_OpenStep(self.unfinished, self._losses, record, line))
        self.unfinished, self._losses, self.waiting = [], [], []


def _epochs(passes: Iterable[tuple[int, int]], side_by_side: bool) -> dict[tuple[int, int], int]:
    """Ordinal of every pass: among all, or among its loader's where loaders run side by side."""
    ordinals: dict[tuple[int, int], int] = {}
    num_passes: Counter[int] = Counter()
    for passing in passes:
        if passing not in ordinals:
            stream = passing[0] if side_by_side else 0
            ordinals[passing] = num_passes[stream]
            num_passes[stream] += 1
    return ordinals


def _trained(batch: Batch, epochs: dict[tuple[int, int], int]) -> TrainedBatch:
    return TrainedBatch(
        loader=batch.loader,
        epoch=epochs[batch.loader, batch.epoch],
        batch=batch.batch,
        key=batch.digest if batch.indices is None else tuple(batch.indices),
        line=batch.sequence + 1,
        digest=batch.digest,
    )


def _sampler_epoch(records: Iterable[AnyRecord], consumed: Sequence[Batch]) -> int | None:
    if not consumed:
        return None
    first = (consumed[0].loader, consumed[0].epoch)
    begins = (r for r in records if isinstance(r, EpochBegin) and (r.loader, r.epoch) == first)
    return next((begin.sampler_epoch for begin in begins), None)
