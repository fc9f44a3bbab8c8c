"""Evidence in memory: a small job of W ranks, its references, and a faulted run, to be spoilt by the tests.

A `Job` says what every rank trains on. `reference` and `faulted` write the histories that a correct recorder and a
correct job would leave; a test changes what a rank trained on after its restart by passing other steps.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count

import msgspec

from launch.evidence import Evidence, gather
from launch.faults import Fault, Kind, Point, When
from launch.history import History, Process
from launch.plan import Plan, Scenario, Script
from launch.records import (
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
    NodeEnded,
    Rename,
    RoundStarted,
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


def history(name: str, processes: Sequence[Process], **changes: object) -> History:
    """A scenario of these processes, with what one node says about them."""
    sizes = {p.incarnation: p.start.world_size for p in processes}
    rounds = tuple(
        RoundStarted(incarnation=i, node=0, num_nodes=1, ranks=list(range(w)), world_size=w, time_ns=i)
        for i, w in sorted(sizes.items())
    )
    whole = History(
        name=name,
        processes=tuple(sorted(processes, key=lambda p: (p.incarnation, p.rank))),
        rounds=rounds,
        ends=(NodeEnded(node=0, outcome="succeeded", time_ns=1),),
        logs=frozenset(f"i{i:03d}/rank{rank}.err" for i, w in sizes.items() for rank in range(w)),
    )
    return msgspec.structs.replace(whole, **changes)


def reference(job: Job, number: int = 1) -> History:
    """The uninterrupted run."""
    name = f"reference-{number}"
    lives = [Life(epochs=job.epochs_from(rank, 0)) for rank in range(job.world_size)]
    return history(name, [process(job, life, rank=r, incarnation=0, name=name) for r, life in enumerate(lives)])


def killed(job: Job, step: int, *, fault: int = 0, rank: int = 1, base: int = 0) -> list[Life]:
    """A group that did `step` steps since training began, `base` of them in its checkpoint, when a rank was killed."""
    return [
        Life(
            epochs=job.epochs_from(r, base),
            base=base,
            stop_after=step - base,
            fault=fault if r == rank else None,
            loads=path_of(base) if base else None,
        )
        for r in range(job.world_size)
    ]


def resumed(job: Job, step: int) -> list[Life]:
    """A group that goes on after `step` steps and finishes."""
    loads = path_of(step) if step else None
    return [Life(epochs=job.epochs_from(r, step), base=step, loads=loads) for r in range(job.world_size)]


def plan(*faults: Fault) -> Plan:
    """A `verify` with these faults."""
    names = ("reference-1", "reference-2")
    return Plan(
        command="verify",
        script=Script(path="train.py"),
        torchrun={"redirects": "3"},
        scenarios=(
            *(Scenario(name=name, nproc_per_start=(2,)) for name in names),
            Scenario(name="faulted", faults=faults, nproc_per_start=(2,)),
        ),
        seed=0,
    )


def sigkill(step: int, *, rank: int = 1, number: int = 0) -> Fault:
    """A kill after the step with this number."""
    return Fault(number=number, kind=Kind.SIGKILL, when=When(Point.STEP, (step,)), rank=rank)


def evidence(job: Job, groups: Sequence[Sequence[Life]], faults: Sequence[Fault], *sizes: Job) -> Evidence:
    """Two references and a faulted run of these groups of lives, one group an incarnation.

    Args:
        job: What the references do.
        groups: Lives by rank, for every incarnation.
        faults: Of the plan.
        sizes: The job as later incarnations run it, on another number of ranks; none if that never changes.
    """
    jobs = [job, *sizes, *[job] * len(groups)]
    processes = [
        process(jobs[incarnation], life, rank=rank, incarnation=incarnation)
        for incarnation, group in enumerate(groups)
        for rank, life in enumerate(group)
    ]
    return of_histories(history("faulted", processes), job, faults)


def resized(before: Job, after: Job, step: int) -> list[Life]:
    """A group of another size that goes on after `step` steps of the job as it was before."""
    epoch, offset = divmod(step, before.num_batches)
    consumed = offset * before.global_batch_size
    return [
        Life(epochs=after.epochs_at(r, epoch, consumed), base=step, loads=path_of(step))
        for r in range(after.world_size)
    ]


def of_histories(faulted: History, job: Job, faults: Sequence[Fault], **references: History) -> Evidence:
    """Evidence with the references of a job."""
    pair = [references.get("first", reference(job, 1)), references.get("second", reference(job, 2))]
    planned = plan(*faults)
    return gather(planned, planned.scenarios[-1], pair, faulted)


def one_kill(
    job: Job | None = None, *, at: int = 5, resume: int = 4, **changes: Callable[[Epochs], Epochs]
) -> Evidence:
    """Rank 1 is killed after `at` steps; the job goes on after `resume` steps and finishes.

    Args:
        job: The job; a small one if None.
        at: Steps done when the rank is killed.
        resume: Steps in the checkpoint.
        changes: `rank0=`, `rank1=`: what becomes of that rank's epochs after the restart.
    """
    job = job or Job()
    after = [
        Life(epochs=changes.get(f"rank{r}", list)(life.epochs), base=life.base, loads=life.loads)
        for r, life in enumerate(resumed(job, resume))
    ]
    return evidence(job, [killed(job, at), after], [sigkill(at - 1)])


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
        Step(sequence=0, time_ns=0, step=step, before=before, after=state(step + 1)),
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


def with_lines(process: Process, lines: Iterable[AnyRecord]) -> Process:
    """The process with these lines after its first ones, all numbered anew."""
    whole = (*process.records, *lines)
    records = tuple(msgspec.structs.replace(line, sequence=number) for number, line in enumerate(whole))
    return msgspec.structs.replace(process, records=records)
