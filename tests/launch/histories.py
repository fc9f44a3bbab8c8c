"""Evidence in memory: a small job of W ranks, its references, and a faulted run, to be spoilt by the tests.

A `Job` says what every rank trains on. `reference` and `evidence` write the histories that a correct recorder and a
correct job would leave; a test changes what a rank trains on after its restart by passing other epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.node_records import NodeEnded, RoundStarted
from resumable.launch.evidence.rank_records import FIRST_INPUT, AnyRecord, Batch, Error, Exit, FaultFired
from resumable.launch.plan.fault_kinds import FaultKind
from resumable.launch.plan.fault_model import PlannedFault, Point, When
from resumable.launch.plan.plan import Plan, Scenario, Script
from resumable.launch.plan.topology import Topology
from resumable.launch.reading.evidence import Evidence, gather
from tests.launch.lines import Epochs, Job, Life, group, path_of, process, with_lines

__all__ = ["Epochs", "Job", "Life", "group", "path_of", "process", "with_lines"]


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
    return history(name, group(job, lives, incarnation=0, name=name))


def failed_reference(job: Job) -> History:
    """The uninterrupted run, in which rank 1 raised an error of the script's own, and rank 0 lost its connection by that."""
    whole = reference(job)
    ends = (
        ("RuntimeError: closed", Error(type="builtins.RuntimeError", module="torch.distributed.distributed_c10d")),
        ("ValueError: no such column", Error(type="builtins.ValueError", module="__main__")),
    )
    processes = tuple(
        msgspec.structs.replace(
            process,
            records=(
                *process.records[:-1],
                Exit(sequence=0, time_ns=rank, reason="exception", code=1, message=message, error=error),
            ),
        )
        for rank, (process, (message, error)) in enumerate(zip(whole.processes, ends, strict=True))
    )
    return msgspec.structs.replace(whole, processes=processes)


def killed(
    job: Job, step: int, *, fault: int = 0, rank: int = 1, base: int = 0, saves_last: bool = False
) -> list[Life]:
    """A group that did `step` steps since training began, `base` of them in its checkpoint, when a rank was killed."""
    return [
        Life(
            epochs=job.epochs_from(r, base),
            base=base,
            stop_after=step - base,
            saves_last=saves_last,
            fault=fault if r == rank else None,
            loads=path_of(base) if base else None,
        )
        for r in range(job.world_size)
    ]


def hit(job: Job, fault: PlannedFault, *lines: AnyRecord, at: int = 5, path: str = "", **changes: object) -> History:
    """Rank 1 is hit by a fault of any kind after `at` steps and leaves these lines; all go on after 4 and finish.

    Args:
        job: The job.
        fault: What is done.
        lines: What rank 1 still records in that life.
        at: Steps done until then.
        path: The file that the fault damages.
        changes: Of the history.
    """
    fired = FaultFired(sequence=0, time_ns=0, fault=fault.number, kind=fault.kind, path=path)
    before = group(job, killed(job, at, rank=-1), incarnation=0)
    before[1] = with_lines(before[1], [fired, *lines])
    after = group(job, resumed(job, 4), incarnation=1)
    return history("faulted", [*before, *after], **changes)


def resumed(job: Job, step: int) -> list[Life]:
    """A group that goes on after `step` steps and finishes."""
    loads = path_of(step) if step else None
    return [Life(epochs=job.epochs_from(r, step), base=step, loads=loads) for r in range(job.world_size)]


def plan(*faults: PlannedFault) -> Plan:
    """A `verify` with these faults."""
    names = ("reference-1", "reference-2")
    return Plan(
        command="verify",
        script=Script(path="train.py"),
        torchrun={"redirects": "3"},
        topology=Topology(),
        scenarios=(
            *(Scenario(name=name, nproc_per_start=(2,)) for name in names),
            Scenario(name="faulted", faults=faults, nproc_per_start=(2,)),
        ),
        seed=0,
    )


def sigkill(step: int, *, rank: int = 1, number: int = 0) -> PlannedFault:
    """A kill after the step with this number."""
    return PlannedFault(number=number, kind=FaultKind.SIGKILL, when=When(Point.STEP, (step,)), rank=rank)


def evidence(job: Job, groups: Sequence[Sequence[Life]], faults: Sequence[PlannedFault], *sizes: Job) -> Evidence:
    """Two references and a faulted run of these groups of lives, one group an incarnation.

    Args:
        job: What the references do.
        groups: Lives by rank, for every incarnation.
        faults: Of the plan.
        sizes: The job as later incarnations run it, on another number of ranks; none if that never changes.
    """
    jobs = [job, *sizes, *[job] * len(groups)]
    known: dict[int, str] = {}
    processes = [
        process
        for incarnation, lives in enumerate(groups)
        for process in group(jobs[incarnation], lives, incarnation=incarnation, known=known)
    ]
    return of_histories(history("faulted", processes), job, faults)


def resized(before: Job, after: Job, step: int) -> list[Life]:
    """A group of another size that goes on after `step` steps of the job as it was before."""
    epoch, offset = divmod(step, before.num_batches)
    consumed = offset * before.global_batch_size
    return [
        Life(epochs=after.epochs_at(r, epoch, consumed), base=step, start=before.state(step), loads=path_of(step))
        for r in range(after.world_size)
    ]


def of_histories(faulted: History, job: Job, faults: Sequence[PlannedFault], **references: History) -> Evidence:
    """Evidence with the references of a job; `first`, `second` and any more in their place."""
    runs = {"first": reference(job, 1), "second": reference(job, 2), **references}
    planned = plan(*faults)
    return gather(planned, planned.scenarios[-1], list(runs.values()), faulted)


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
    return evidence(job, [killed(job, at, saves_last=resume == at), after], [sigkill(at - 1)])


def without_indices(history: History) -> History:
    """The same run of a job whose batches are known by their content only."""
    processes = tuple(
        msgspec.structs.replace(process, records=tuple(map(_by_content, process.records)))
        for process in history.processes
    )
    return msgspec.structs.replace(history, processes=processes)


def of_inputs(history: History) -> History:
    """The same run of a job whose batches no data loader gives: they are what forward passes got."""
    processes = tuple(
        msgspec.structs.replace(
            process,
            records=tuple(
                msgspec.structs.replace(record, loader=FIRST_INPUT + record.loader)
                if hasattr(record, "loader")
                else record
                for record in process.records
            ),
        )
        for process in history.processes
    )
    return msgspec.structs.replace(history, processes=processes)


def _by_content(line: AnyRecord) -> AnyRecord:
    if isinstance(line, Batch):
        return msgspec.structs.replace(line, indices=None, digest=f"content of {line.indices}")
    return line
