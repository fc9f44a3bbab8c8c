"""A small job in memory, and the lines that its processes would leave.

What they record is physically possible. The ranks share their gradients, so the parameters after a step follow from those
before it and from what all ranks trained on; a loss follows from the parameters and the rank's own batch. One wrong batch
changes the losses and parameters of all ranks from there on, as in life.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

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
    prefetch_factor: int = 2

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

    def state(self, step: int) -> str:
        """Digest of the parameters after `step` steps without a stop."""
        return _states(self)[step]

    def loss(self, rank: int, step: int) -> float:
        """Of a rank in a step without a stop, from 0."""
        return loss_of(self.state(step), batches_of(self.epochs_from(rank, 0))[step])


@cache
def _states(job: Job) -> list[str]:
    ranks = [batches_of(job.epochs_from(rank, 0)) for rank in range(job.world_size)]
    states = [INITIAL]
    for batches in zip(*ranks, strict=True):
        states.append(state_after(states[-1], batches))
    return states


@dataclass(frozen=True, kw_only=True)
class Life:
    """One process of a rank."""

    epochs: Epochs
    base: int = 0
    """Steps that its parameters build on."""
    start: str | None = None
    """Digest of the parameters that it loads; None: those that the job has after `base` steps."""
    stop_after: int | None = None
    """Steps until it is killed; None: it finishes."""
    saves_last: bool = False
    """It saves after the last of them, if it is the time, before it is killed."""
    fault: int | None = None
    """The fault that kills it; None: it is ended because another rank died."""
    loads: str | None = None
    fast_forward: Sequence[list[int]] = ()
    """Batches of its first pass that it receives and does not train on."""


INITIAL = "state-0"
"""Digest of the parameters before the first step."""


def batches_of(epochs: Epochs) -> list[list[int]]:
    """All batches of a process in order."""
    return [batch for epoch in epochs for batch in epoch]


def state_after(state: str, batches: Sequence[Sequence[int]]) -> str:
    """Digest of the parameters after a step of all ranks on these batches, one a rank."""
    step = int(state.split("-")[1]) + 1
    return f"state-{step}-{_digest(state, *map(tuple, batches))}"


def loss_of(state: str, batch: Sequence[int]) -> float:
    """Of one rank's batch with these parameters."""
    return int(_digest(state, tuple(batch)), 16) / 16**8


def _digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=4).hexdigest()


def path_of(step: int) -> str:
    """The checkpoint written after `step` steps."""
    return f"ckpt/step-{step}.pt"


def group(
    job: Job,
    lives: Sequence[Life],
    *,
    incarnation: int,
    name: str = "faulted",
    known: dict[int, str] | None = None,
) -> list[Process]:
    """The lines of one worker group, by rank.

    Args:
        job: What all of them do.
        lives: Of each rank.
        incarnation: Of the group.
        name: Of the scenario.
        known: Parameters after so many steps, as earlier groups of the same run had them; what this group has is added.
    """
    saved: dict[int, str] = {} if known is None else known
    starts = [life.start or saved.get(life.base) or job.state(life.base) for life in lives]
    trained = [batches_of(life.epochs)[: life.stop_after] for life in lives]
    chains = [[start] for start in starts]
    for step in range(max(map(len, trained), default=0)):
        batches = [own[step] for own in trained if step < len(own)]
        for chain, own in zip(chains, trained, strict=True):
            if step < len(own):
                chain.append(state_after(chain[-1], batches))
    for life, chain in zip(lives, chains, strict=True):
        saved.update(enumerate(chain, start=life.base))
    return [
        _process(job, life, chain, rank=rank, incarnation=incarnation, name=name)
        for rank, (life, chain) in enumerate(zip(lives, chains, strict=True))
    ]


def process(job: Job, life: Life, *, rank: int, incarnation: int, name: str = "faulted") -> Process:
    """The lines of one process, whose peers do what is right."""
    lives = [Life(epochs=job.epochs_from(r, life.base), base=life.base) for r in range(job.world_size)]
    lives[rank] = life
    return group(job, lives, incarnation=incarnation, name=name)[rank]


def _process(job: Job, life: Life, states: Sequence[str], *, rank: int, incarnation: int, name: str) -> Process:
    lines = [*_prologue(job, life, rank, incarnation), *_training(job, life, rank, states), *_ending(life, states)]
    records = tuple(msgspec.structs.replace(line, sequence=number) for number, line in enumerate(lines))
    start = records[0]
    assert isinstance(start, Start)
    return Process(file=f"{name}/events/i{incarnation:03d}-r{rank:04d}-1.jsonl", start=start, records=records)


def with_lines(process: Process, lines: Iterable[AnyRecord]) -> Process:
    """The process with these lines after its first ones, all numbered anew."""
    return with_records(process, [*process.records, *lines])


def with_records(process: Process, lines: Iterable[AnyRecord]) -> Process:
    """The process with these lines in place of its own, numbered anew."""
    records = tuple(msgspec.structs.replace(line, sequence=number) for number, line in enumerate(lines))
    return msgspec.structs.replace(process, records=records)


START: dict[str, Any] = {
    "format": FORMAT_VERSION,
    "incarnation": 0,
    "rank": 0,
    "local_rank": 0,
    "world_size": 1,
    "node": 0,
    "pid": 1,
    "python": "3",
    "torch": "2",
}
"""Who writes a file: the only process of a job."""


def started(*, rank: int = 0, world_size: int = 1, incarnation: int = 0, pid: int = 1, group: str = "") -> Start:
    """The first line of a process of node 0."""
    group_of = {"incarnation": incarnation, "world_size": world_size, "group": group}
    return Start(sequence=0, time_ns=0, **{**START, **group_of, "rank": rank, "local_rank": rank, "pid": pid})


def _prologue(job: Job, life: Life, rank: int, incarnation: int) -> list[AnyRecord]:
    pid = 1000 * incarnation + rank
    lines: list[AnyRecord] = [started(rank=rank, world_size=job.world_size, incarnation=incarnation, pid=pid)]
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
        prefetch_factor=job.prefetch_factor if job.num_workers else None,
    )
    return [*lines, loader]


def _training(job: Job, life: Life, rank: int, states: Sequence[str]) -> list[AnyRecord]:
    lines: list[AnyRecord] = []
    clock = count()
    num_left = float("inf") if life.stop_after is None else life.stop_after
    step = life.base
    for epoch, batches in enumerate(life.epochs):
        if num_left <= 0:
            break
        lines.append(
            EpochBegin(
                sequence=0,
                time_ns=next(clock),
                loader=0,
                epoch=epoch,
                sampler_epoch=life.base // job.num_batches + epoch,
            )
        )
        skipped = list(life.fast_forward) if epoch == 0 else []
        lines.extend(_batch(epoch, number, indices) for number, indices in enumerate(skipped))
        for number, indices in enumerate(batches, start=len(skipped)):
            if num_left <= 0:
                return lines
            before, after = states[step - life.base], states[step - life.base + 1]
            lines.extend(_step(_batch(epoch, number, indices), step, before, after, is_first=step == life.base))
            step += 1
            num_left -= 1
            if rank == 0 and step % job.save_every == 0 and (num_left > 0 or life.saves_last):
                lines.extend(_save(step))
        lines.append(EpochEnd(sequence=0, time_ns=0, loader=0, epoch=epoch, num_batches=len(batches) + len(skipped)))
    return lines


def _batch(epoch: int, number: int, indices: list[int]) -> Batch:
    return Batch(sequence=0, time_ns=number, loader=0, epoch=epoch, batch=number, indices=indices)


def _step(batch: Batch, step: int, before: str, after: str, *, is_first: bool) -> list[AnyRecord]:
    indices = [index for index in batch.indices or () if isinstance(index, int)]
    return [
        batch,
        Backward(sequence=0, time_ns=0, loss=loss_of(before, indices)),
        Step(
            sequence=0,
            time_ns=0,
            step=step,
            before=before if is_first else None,
            after=after,
            has_new_optimizer=step == 0,
        ),
    ]


def _save(step: int) -> list[AnyRecord]:
    temporary = f"ckpt/.new-{step}"
    return [
        Save(sequence=0, time_ns=0, path=temporary, phase="begin"),
        Save(sequence=0, time_ns=0, path=temporary, phase="end"),
        Rename(sequence=0, time_ns=0, source=temporary, target=path_of(step)),
    ]


def _ending(life: Life, states: Sequence[str]) -> list[AnyRecord]:
    if life.fault is not None:
        return [FaultFired(sequence=0, time_ns=0, fault=life.fault, kind="sigkill")]
    if life.stop_after is not None:
        return []
    return [Exit(sequence=0, time_ns=0, reason="finished", parameters=states[-1])]
