"""Bookkeeping over all ranks: nothing lost, nothing duplicated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from resumable.launch.checks.check import Check
from resumable.launch.evidence.rank_records import Loader
from resumable.launch.explain.problems import SamplesMiscounted, Unit
from resumable.launch.explain.result import MAX_INDICES, CheckResult, Violation, failed, not_applicable, passed, unknown
from resumable.launch.explain.run_problems import JobUnfinished, NothingTrained
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.failures import came_to_its_end
from resumable.launch.reading.first_epochs import usual_epoch
from resumable.launch.reading.global_stream import Sample, samples_a_turn, samples_of
from resumable.launch.reading.lives import Run
from resumable.launch.system.wording import counted

_ALL = -1
"""Stands for all epochs together."""


def _exactly_once(evidence: Evidence) -> CheckResult:
    if not evidence.references:
        return _as_before(evidence)
    by_epoch = not evidence.profile.side_by_side
    expected = _counts(evidence.references[0], by_epoch=by_epoch)
    found = _counts(evidence.faulted, by_epoch=by_epoch)
    if not came_to_its_end(evidence.faulted):  # what it has not done yet is not lost
        expected = {epoch: expected.get(epoch, Counter()) & count for epoch, count in found.items()}
    violations = list(_differences(expected, found, _tolerance(evidence), _unit(evidence.references[0])))
    if violations:
        return failed(violations)
    if not found:
        return unknown(NothingTrained())
    if not came_to_its_end(evidence.faulted):
        return unknown(JobUnfinished())
    num = counted(sum(count.total() for count in found.values()), _unit(evidence.references[0]))
    return passed(f"{num} in {counted(len(found), 'epoch')}, none lost, none duplicated")


exactly_once = Check(
    name="exactly_once",
    claim="Over all ranks and restarts, each epoch trains on its samples as often as the uninterrupted run does.",
    run=_exactly_once,
    needs_reference=False,
    is_comparison=True,
    is_of_batches=True,
)


def _as_before(evidence: Evidence) -> CheckResult:
    """Without a reference: each epoch after a restart as the whole ones before it, as far as the job has come."""
    run = evidence.faulted
    if len(run.history.incarnations) < 2 or evidence.profile.side_by_side:
        return not_applicable("there is no uninterrupted run to compare with")
    usual = usual_epoch(run)
    if usual is None:
        return not_applicable("no epoch that was whole before the first restart says what an epoch holds")
    found = _counts(run, by_epoch=True)
    epochs = sorted(found) if came_to_its_end(run) else sorted(found)[:-1]
    expected = dict.fromkeys(epochs, usual)
    violations = list(_differences(expected, {e: found[e] for e in epochs}, _tolerance(evidence), _unit(run)))
    if violations:
        return failed(violations)
    num = counted(sum(found[epoch].total() for epoch in epochs), _unit(run))
    return passed(
        f"{num} in {counted(len(epochs), 'epoch')}, each as those before the first restart; in which order is not proved"
    )


class _Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """How many samples an epoch may differ by, because a different number of ranks pads and drops differently."""

    num_extra: int = 0
    num_dropped: int = 0

    def allows(self, lost: Counter[Sample], extra: Counter[Sample], expected: Counter[Sample]) -> bool:
        """Whether this is padding (samples of the epoch once more or less) or a dropped tail."""
        gone = sum(num for sample, num in lost.items() if expected[sample] <= num)
        fresh = sum(num for sample, num in extra.items() if not expected[sample])
        repeats = max(lost.total() - gone, extra.total() - fresh)
        return max(gone, fresh) <= self.num_dropped and repeats <= self.num_extra


def _tolerance(evidence: Evidence) -> _Tolerance:
    if not evidence.is_resized:
        return _Tolerance()
    size = max(evidence.faulted.world_sizes)
    sizes = [loader.batch_size or 1 for loader in _loaders(evidence.faulted) if loader.drop_last]
    turn = max(samples_a_turn(run) for run in (*evidence.references[:1], evidence.faulted))
    return _Tolerance(num_extra=(size - 1) * turn, num_dropped=max((size * batch - 1 for batch in sizes), default=0))


def _counts(run: Run, *, by_epoch: bool) -> dict[int, Counter[Sample]]:
    """How often each sample was trained on, in every epoch."""
    counts: dict[int, Counter[Sample]] = {}
    for timeline in run.timelines:
        for step in timeline.steps:
            for batch in step.batches:
                counts.setdefault(batch.epoch if by_epoch else _ALL, Counter()).update(samples_of(batch.key))
    return counts


def _unit(run: Run) -> Unit:
    """What is counted: samples where indices are known, else batches by their content."""
    batches = (batch for timeline in run.timelines for step in timeline.steps for batch in step.batches)
    return "sample" if any(batch.indices for batch in batches) else "batch"


def _differences(
    expected: dict[int, Counter[Sample]], found: dict[int, Counter[Sample]], tolerance: _Tolerance, unit: Unit
) -> Iterator[Violation]:
    for epoch in sorted(expected.keys() | found.keys()):
        wanted, got = expected.get(epoch, Counter()), found.get(epoch, Counter())
        lost, extra = wanted - got, got - wanted
        if wanted == got or tolerance.allows(lost, extra, wanted):
            continue
        number = None if epoch == _ALL else epoch
        num_unexpected = sum(num for sample, num in extra.items() if not wanted[sample])
        yield Violation(
            problem=SamplesMiscounted(
                epoch=number,
                unit=unit,
                num_lost=lost.total(),
                num_duplicated=extra.total() - num_unexpected,
                num_unexpected=num_unexpected,
            ),
            epoch=number,
            lost=tuple(lost.elements())[:MAX_INDICES],
            extra=tuple(extra.elements())[:MAX_INDICES],
        )


def _loaders(run: Run) -> Sequence[Loader]:
    return [loader for life in run.lives for loader in life.trajectory.loaders.values()]
