"""A small job in memory, and the lines that its processes would leave."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

import msgspec

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import (
    FORMAT_VERSION,
    AnyRecord,
    Backward,
    Batch,
    EpochBegin,
    EpochEnd,
    Exit,
    FaultFired,
    Load,
    Loader,
    Rename,
    Save,
    Start,
    Step,
)

Epochs = list[list[list[int]]]
"""Of one process: passes of batches of indices."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job of `world_size` ranks that shuffles its samples anew in every epoch."""

    world_size: int = 2
    batch_size: int = 2
    num_samples: int = 16
    num_epochs: int = 3
    shuffle: bool = True
    save_every: int = 2
    num_workers: int = 0

    @property
    def num_batches(self) -> int:
        """Batches of one epoch on one rank."""
        return -(-self.num_samples // (self.world_size * self.batch_size))

    @property
    def global_batch_size(self) -> int:
        """Samples of one step."""
        return self.world_size * self.batch_size

    def order(self, epoch: int) -> list[int]:
        """The samples of an epoch, as all ranks together train on them."""
        order = list(range(self.num_samples))
        if self.shuffle:
            random.Random(epoch).shuffle(order)
        return order

    def epoch(self, rank: int, epoch: int, consumed: int = 0) -> list[list[int]]:
        """A rank's batches of what is left of an epoch after `consumed` samples, padded from the epoch's start."""
        order = self.order(epoch)
        rest = order[consumed:]
        own = (rest + order[: -len(rest) % self.world_size])[rank :: self.world_size]
        return [own[first : first + self.batch_size] for first in range(0, len(own), self.batch_size)]

    def epochs_from(self, rank: int, step: int) -> Epochs:
        """What a rank trains on after `step` steps, one batch a step."""
        first, offset = divmod(step, self.num_batches)
        return self.epochs_at(rank, first, offset * self.global_batch_size)

    def epochs_at(self, rank: int, epoch: int, consumed: int) -> Epochs:
        """What a rank trains on from a place that may not be its own: another number of ranks got there."""
        later = [self.epoch(rank, number) for number in range(epoch + 1, self.num_epochs)]
        return [self.epoch(rank, epoch, consumed), *later] if epoch < self.num_epochs else []


@dataclass(frozen=True, kw_only=True)
class Life:
    """One process of a rank."""

    epochs: Epochs
    base: int = 0
    """Steps that its parameters build on."""
    stop_after: int | None = None
    """Steps until it is killed; None: it finishes."""
    fault: int | None = None
    """The fault that kills it; None: it is ended because another rank died."""
    loads: str | None = None
    fast_forward: Sequence[list[int]] = ()
    """Batches of its first pass that it receives and does not train on."""


def state(step: int) -> str:
    """Digest of the parameters after `step` steps."""
    return f"state-{step}"


def path_of(step: int) -> str:
    """The checkpoint written after `step` steps."""
    return f"ckpt/step-{step}.pt"


def process(job: Job, life: Life, *, rank: int, incarnation: int, name: str = "faulted") -> Process:
    """The lines of one process."""
    lines = [*_prologue(job, life, rank, incarnation), *_training(job, life, rank), *_ending(job, life)]
    records = tuple(msgspec.structs.replace(line, sequence=number) for number, line in enumerate(lines))
    start = records[0]
    assert isinstance(start, Start)
    return Process(file=f"{name}/events/i{incarnation:03d}-r{rank:04d}-1.jsonl", start=start, records=records)


def with_lines(process: Process, lines: Iterable[AnyRecord]) -> Process:
    """The process with these lines after its first ones, all numbered anew."""
    whole = (*process.records, *lines)
    records = tuple(msgspec.structs.replace(line, sequence=number) for number, line in enumerate(whole))
    return msgspec.structs.replace(process, records=records)


def _prologue(job: Job, life: Life, rank: int, incarnation: int) -> list[AnyRecord]:
    lines: list[AnyRecord] = [
        Start(
            sequence=0,
            time_ns=0,
            format=FORMAT_VERSION,
            incarnation=incarnation,
            rank=rank,
            local_rank=rank,
            world_size=job.world_size,
            node=0,
            pid=1000 * incarnation + rank,
            python="3",
            torch="2",
        )
    ]
    if life.loads is not None:
        lines.append(Load(sequence=0, time_ns=0, path=life.loads))
    loader = Loader(
        sequence=0,
        time_ns=0,
        loader=0,
        dataset="Digits",
        num_samples=job.num_samples,
        num_batches=job.num_batches,
        batch_size=job.batch_size,
        sampler="DistributedSampler",
        num_workers=job.num_workers,
    )
    return [*lines, loader]


def _training(job: Job, life: Life, rank: int) -> list[AnyRecord]:
    lines: list[AnyRecord] = []
    clock = count()
    num_left = float("inf") if life.stop_after is None else life.stop_after
    step = life.base
    for epoch, batches in enumerate(life.epochs):
        if num_left <= 0:
            break
        lines.append(EpochBegin(sequence=0, time_ns=next(clock), loader=0, epoch=epoch))
        skipped = list(life.fast_forward) if epoch == 0 else []
        lines.extend(_batch(epoch, number, indices) for number, indices in enumerate(skipped))
        for number, indices in enumerate(batches, start=len(skipped)):
            if num_left <= 0:
                return lines
            lines.extend(_step(epoch, number, indices, step, is_first=step == life.base))
            step += 1
            num_left -= 1
            if rank == 0 and step % job.save_every == 0 and num_left > 0:
                lines.extend(_save(step))
        lines.append(EpochEnd(sequence=0, time_ns=0, loader=0, epoch=epoch, num_batches=len(batches) + len(skipped)))
    return lines


def _batch(epoch: int, number: int, indices: list[int]) -> Batch:
    return Batch(sequence=0, time_ns=number, loader=0, epoch=epoch, batch=number, indices=indices)


def _step(epoch: int, number: int, indices: list[int], step: int, *, is_first: bool) -> list[AnyRecord]:
    before = state(step) if is_first else None
    return [
        _batch(epoch, number, indices),
        Backward(sequence=0, time_ns=0, loss=step / 8),
        Step(sequence=0, time_ns=0, step=step, before=before, after=state(step + 1), has_new_optimizer=step == 0),
    ]


def _save(step: int) -> list[AnyRecord]:
    temporary = f"ckpt/.new-{step}"
    return [
        Save(sequence=0, time_ns=0, path=temporary, phase="begin"),
        Save(sequence=0, time_ns=0, path=temporary, phase="end"),
        Rename(sequence=0, time_ns=0, source=temporary, target=path_of(step)),
    ]


def _ending(job: Job, life: Life) -> list[AnyRecord]:
    if life.fault is not None:
        return [FaultFired(sequence=0, time_ns=0, fault=life.fault, kind="sigkill")]
    if life.stop_after is not None:
        return []
    return [Exit(sequence=0, time_ns=0, reason="finished", parameters=state(job.num_epochs * job.num_batches))]
