"""After a restart on a different number of ranks no rank's own sequence can be compared, but all of them together can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from resumable.launch.checks.check import Check
from resumable.launch.evidence.rank_records import Index
from resumable.launch.explain.check_result import MAX_INDICES, CheckResult, Violation, failed, passed, unknown
from resumable.launch.explain.codes.batch_problems import (
    BatchesCutDifferently,
    GlobalBatchDiffers,
    GlobalBatchesMiscounted,
    StreamRepeats,
)
from resumable.launch.explain.codes.ends import JobUnfinished
from resumable.launch.explain.codes.share_reasons import GlobalBatchRepeated
from resumable.launch.explain.codes.statement import Problem, Reason
from resumable.launch.explain.codes.verdicts import NothingResumed
from resumable.launch.explain.common_order import problem_of_order
from resumable.launch.explain.world_size import explain_world_size_change
from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.failures import came_to_its_end
from resumable.launch.reading.global_stream import (
    GlobalStep,
    effective_stream,
    epochs_of,
    is_by_content,
    num_dropped,
    without_repeats,
)
from resumable.launch.system.wording import counted


def _global_batches(evidence: Evidence) -> CheckResult:
    expected, found = (effective_stream(run) for run in (evidence.references[0], evidence.faulted))
    if all(step.incarnation == 0 for step in found):
        return unknown(NothingResumed())
    is_whole = came_to_its_end(evidence.faulted)
    sizes = " then ".join(map(str, evidence.faulted.world_sizes))
    if len(_global_batch_sizes(evidence)) == 1:
        violations = list(_differing_sets(expected, found, is_whole=is_whole))
        summary = f"{sizes} ranks: {counted(len(found), 'global batch')} equal as sets"
    else:
        num_missing = 0 if is_whole else sum(len(step.samples) for step in expected)
        num_droppable = max(map(num_dropped, (evidence.references[0], evidence.faulted))) + num_missing
        violations = list(_differing_order(expected, found, num_droppable))
        summary = f"{sizes} ranks: every remaining sample once, in the same stream order"
        if violations and _is_order_of_batches(evidence, num_droppable):
            violations, summary = [], f"{sizes} ranks: every remaining batch once, in the same stream order"
    if violations and is_by_content(evidence.faulted):
        return unknown(BatchesCutDifferently())
    if violations:
        return failed(violations)
    return passed(summary) if is_whole else unknown(JobUnfinished())


global_batches = Check(
    name="global_batches",
    claim="On a different number of ranks, all ranks together train on the samples of the uninterrupted run, in its order.",
    run=_global_batches,
    on_same_size="the number of ranks never changed",
    is_comparison=True,
    proves=frozenset({"samples", "state"}),
)


def _global_batch_sizes(evidence: Evidence) -> set[int | None]:
    """Samples of a whole step on all ranks, for every run and incarnation."""
    return {
        None if loader.batch_size is None else loader.batch_size * life.process.start.world_size
        for run in (evidence.references[0], evidence.faulted)
        for life in run.lives
        for loader in life.trajectory.loaders.values()
    }


def _differing_sets(
    expected: Sequence[GlobalStep], found: Sequence[GlobalStep], *, is_whole: bool
) -> Iterator[Violation]:
    """The first global batch that is a different set of samples; padding, which repeats the epoch's own, does not count."""
    wanted_seen: dict[int, set[Index]] = {}
    found_seen: dict[int, set[Index]] = {}
    for number, (wanted, got) in enumerate(zip(expected, found, strict=False)):
        wanted_new, got_new = _news(wanted, wanted_seen), _news(got, found_seen)
        if set(wanted_new) != set(got_new):
            again = None if got_new else _first_with(found[:number], got)
            yield _violation(
                GlobalBatchDiffers(step=number),
                wanted.epoch,
                number,
                sorted(wanted_new, key=_order),
                sorted(got_new or got.samples, key=_order),
                reason=None if again is None else GlobalBatchRepeated(step=again),
            )
            return
    if len(expected) != len(found) and (is_whole or len(found) > len(expected)):
        num = min(len(expected), len(found))
        at = max(expected, found, key=len)[num]
        miscounted = GlobalBatchesMiscounted(num_found=len(found), num_expected=len(expected))
        yield _violation(miscounted, at.epoch, num, [], [])


def _differing_order(
    expected: Sequence[GlobalStep], found: Sequence[GlobalStep], num_droppable: int
) -> Iterator[Violation]:
    """The first sample of each epoch that comes at a different place of the stream."""
    wanted_epochs, found_epochs = epochs_of(expected), epochs_of(found)
    orders = {epoch: without_repeats(samples) for epoch, samples in wanted_epochs.items()}
    for epoch in sorted(wanted_epochs.keys() | found_epochs.keys()):
        wanted, got = wanted_epochs.get(epoch, []), found_epochs.get(epoch, [])
        problem = problem_of_order(epoch, wanted, got, num_droppable)
        if problem is None:
            continue
        order = orders.get(epoch, [])
        why = explain_world_size_change(found, epoch, orders, before=expected[0].world_size if expected else 0)
        if isinstance(problem, StreamRepeats):
            came, start = got, problem.position
        else:
            came = without_repeats(got)
            start = first_difference(order, came) or 0
        yield _violation(problem, epoch, None, order[start:], came[start:], reason=why)


def _is_order_of_batches(evidence: Evidence, num_droppable: int) -> bool:
    """Whether both runs have one order if their ranks take turns by whole batches, of whatever sizes."""
    expected, found = (effective_stream(run, by_batch=True) for run in (evidence.references[0], evidence.faulted))
    return not any(_differing_order(expected, found, num_droppable))


def _news(step: GlobalStep, seen: dict[int, set[Index]]) -> list[Index]:
    """Samples that the epoch has not had before."""
    known = seen.setdefault(step.epoch, set())
    new = [sample for sample in without_repeats(step.samples) if sample not in known]
    known.update(new)
    return new


def _first_with(steps: Sequence[GlobalStep], again: GlobalStep) -> int | None:
    """The first step that trained on any of these samples of the same epoch."""
    samples = set(again.samples)
    found = (n for n, step in enumerate(steps) if step.epoch == again.epoch and not samples.isdisjoint(step.samples))
    return next(found, None)


def _order(sample: Index) -> tuple[bool, int, str]:
    return (isinstance(sample, str), sample if isinstance(sample, int) else 0, str(sample))


def _violation(
    problem: Problem,
    epoch: int,
    step: int | None,
    expected: Sequence[Index],
    found: Sequence[Index],
    *,
    reason: Reason | None = None,
) -> Violation:
    return Violation(
        problem=problem,
        reason=reason,
        epoch=epoch,
        step=step,
        expected=tuple(expected[:MAX_INDICES]),
        found=tuple(found[:MAX_INDICES]),
    )
