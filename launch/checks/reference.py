"""A proof is worth what its yardstick is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from resumable.launch.evidence.rank_records import Index
from resumable.launch.reading.evidence import Evidence, expected_steps
from resumable.launch.reading.failures import unplanned_death
from resumable.launch.reading.lives import Run
from resumable.launch.reading.outcome import CheckResult, not_applicable, passed, unknown
from resumable.launch.reading.trajectory import Steps
from resumable.launch.system.wording import counted

_UNWATCHED = "not without a backward() call, nor in processes that it starts itself, as mp.spawn does"


def reference(evidence: Evidence) -> CheckResult:
    """The uninterrupted run repeats itself, and its batches tell one order from another."""
    if not evidence.references:
        return not_applicable("resumable run has no uninterrupted run to compare with")
    problem = next(_problems(evidence), None)
    if problem is not None:
        return unknown(problem)
    steps = evidence.expected.values()
    num_batches = sum(len(step.batches) for rank in steps for step in rank)
    figures = f"{counted(len(evidence.references), 'run')} of {counted(num_batches, 'batch')}"
    notes = "".join(f"; {note}" for note in _notes(evidence))
    return passed(f"{figures}, equal in every batch{notes}")


def _problems(evidence: Evidence) -> Iterator[str]:
    """Why the references are no yardstick."""
    needed = 1 if evidence.plan.command == "python" else max(2, len(evidence.plan.references))
    if len(evidence.references) < needed:
        yield "there are not two uninterrupted runs, so nothing shows that the job repeats itself"
    for run in evidence.references:
        yield from _own_problems(run)
    first = evidence.expected
    for run in evidence.references[1:]:
        yield from _differences(first, expected_steps(run))


def _own_problems(run: Run) -> Iterator[str]:
    name = run.history.name
    for incarnation in run.history.incarnations:
        death = unplanned_death(run, incarnation)
        if death is not None:
            yield f"{name} failed by itself on rank {death.rank}: {death.what.splitlines()[0]} (see {death.log})"
    yield from (f"{name}: node {end.node} failed: {end.message}" for end in run.history.ends if end.message)
    if not run.timelines:
        yield f"{name} recorded nothing"
    if len(run.history.incarnations) > 1:
        yield f"{name} was restarted, though nothing was done to it"
    if any(end.outcome != "succeeded" for end in run.history.ends) or not run.history.ends:
        yield f"{name} did not come to its end"
    for timeline in run.timelines:
        yield from (f"{name}: {problem}" for problem in _weaknesses(timeline.rank, timeline.steps))


def _weaknesses(rank: int, steps: Steps) -> Iterator[str]:
    """Why a rank's sequence cannot tell a right order from a wrong one."""
    keys = [batch.key for step in steps for batch in step.batches]
    if not keys:
        yield f"rank {rank} trained on no batch that could be watched ({_UNWATCHED})"
    elif None in keys:
        yield f"rank {rank} trained on batches without indices and without a digest"
    elif 2 * sum(not step.batches for step in steps) > len(steps):
        yield f"rank {rank} did most of its {len(steps)} steps on no batch that could be watched"
    elif len(steps) < 2:
        yield f"rank {rank} did {counted(len(steps), 'step')}: too few to resume between"
    elif len(set(keys)) < 2:
        yield f"all batches of rank {rank} are equal: no order can be told from another"


def _differences(first: dict[int, Steps], second: dict[int, Steps]) -> Iterator[str]:
    if first.keys() != second.keys():
        yield "the two uninterrupted runs had other ranks"
    for rank in sorted(first.keys() & second.keys()):
        left, right = ([step.keys for step in steps] for steps in (first[rank], second[rank]))
        if left != right:
            pairs = enumerate(zip(left, right, strict=False))
            step = next((n for n, (one, other) in pairs if one != other), min(len(left), len(right)))
            yield f"the uninterrupted run does not repeat itself: rank {rank} differs from step {step} on"


def _notes(evidence: Evidence) -> Iterator[str]:
    """What is no fault of a resume, but worth knowing."""
    orders: dict[int, list[object]] = {}
    shuffled = False
    for rank_steps in evidence.expected.values():
        for step in rank_steps:
            for batch in step.batches:
                orders.setdefault(batch.epoch, []).append(batch.key)
                shuffled = shuffled or _is_shuffled(batch.indices)
    if shuffled and len(orders) > 1 and orders.get(0) == orders.get(1):
        yield "every epoch has the same shuffled order (is set_epoch called?)"


def _is_shuffled(indices: Sequence[Index]) -> bool:
    numbers = [index for index in indices if isinstance(index, int)]
    return any(first > second for first, second in pairwise(numbers))
