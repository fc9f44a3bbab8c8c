"""What one process really trained on, derived from its lines by the rule of `evidence/consumption.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from resumable.launch.evidence.consumption import ConsumedBatch, ConsumedStep, Consumption
from resumable.launch.evidence.history import Process
from resumable.launch.evidence.loop_profile import LoopProfile, roles_of
from resumable.launch.evidence.rank_records import AnyRecord, Batch, EpochBegin, Index, Loader, Step

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
    unfinished_losses: tuple[float | None, ...] = ()
    """One for each backward pass whose step never came."""


def trace(process: Process, profile: LoopProfile) -> Trajectory:
    """What a process trained on.

    Time and memory: linear in the number of its lines.
    """
    roles = roles_of(process.records, by_inputs=process.rank in profile.by_inputs)
    consumption = Consumption(profile, roles)
    steps: list[TrainedStep] = []
    consumed: list[Batch] = []
    for record in process.records:
        done = consumption.follow(record)
        if done is not None:
            steps.append(_step(done))
            consumed.extend(one.batch for one in done.batches)
        elif isinstance(record, Step) and steps and record.after is not None:
            steps[-1] = _joined(steps[-1], record)
    last = consumption.close() if process.exit is not None else None
    if last is not None:
        steps.append(_step(last))
        consumed.extend(one.batch for one in last.batches)
    consumed.extend(one.batch for one in consumption.unfinished)
    loaders = {r.loader: r for r in process.records if isinstance(r, Loader)}
    return Trajectory(
        process=process,
        steps=tuple(steps),
        unfinished=_batches(consumption.unfinished),
        unfinished_losses=consumption.losses,
        waiting=_batches(consumption.waiting),
        pass_ended=bool(consumed) and (consumed[-1].loader, consumed[-1].epoch) in consumption.ended,
        sampler_epoch=_sampler_epoch(process.records, consumed),
        loaders={number: loaders[number] for number in roles.training if number in loaders},
    )


def _step(done: ConsumedStep) -> TrainedStep:
    return TrainedStep(
        batches=_batches(done.batches),
        losses=done.losses,
        record=done.record or NO_STEP,
        line=done.line,
        carries=done.carries,
    )


def _joined(step: TrainedStep, later: Step) -> TrainedStep:
    """A step of which another optimizer did its part: what the last one left counts."""
    first = step.record
    record = msgspec.structs.replace(
        later, before=first.before, has_new_optimizer=first.has_new_optimizer or later.has_new_optimizer
    )
    return msgspec.structs.replace(step, record=record)


def _batches(consumed: Iterable[ConsumedBatch]) -> tuple[TrainedBatch, ...]:
    return tuple([_batch(one) for one in consumed])


def _batch(one: ConsumedBatch) -> TrainedBatch:
    batch = one.batch
    return TrainedBatch(
        loader=batch.loader,
        epoch=one.epoch,
        batch=batch.batch,
        key=batch.digest if batch.indices is None else tuple(batch.indices),
        line=batch.sequence + 1,
        digest=batch.digest,
        backward_line=None if one.backward is None else one.backward + 1,
    )


def _sampler_epoch(records: Iterable[AnyRecord], consumed: Sequence[Batch]) -> int | None:
    if not consumed:
        return None
    first = (consumed[0].loader, consumed[0].epoch)
    begins = (r for r in records if isinstance(r, EpochBegin) and (r.loader, r.epoch) == first)
    return next((begin.sampler_epoch for begin in begins), None)
