"""Bookkeeping over all ranks: nothing lost, nothing duplicated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from resumable.launch.checks.check import Check
from resumable.launch.evidence.rank_records import Loader
from resumable.launch.explain.problems import BatchesCutDifferently, SamplesMiscounted, Unit
from resumable.launch.explain.result import MAX_INDICES, CheckResult, Violation, failed, not_applicable, passed, unknown
from resumable.launch.explain.run_problems import JobUnfinished, NothingTrained
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.failures import came_to_its_end
from resumable.launch.reading.first_epochs import usual_epoch
from resumable.launch.reading.global_stream import Sample, is_by_content, samples_a_turn, samples_of
from resumable.launch.reading.lives import Run
from resumable.launch.reading.trajectory import TrainedBatch
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
    tolerance = _tolerance(evidence, by_epoch=by_epoch)
    violations = list(_differences(expected, found, tolerance, _unit(evidence.references[0])))
    if violations and evidence.is_resized and is_by_content(evidence.faulted):
        return unknown(BatchesCutDifferently())
    if violations:
        return failed(violations)
    if not found:
        return unknown(NothingTrained())
    if not came_to_its_end(evidence.faulted) and not evidence.is_cut:
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
    tolerance = _tolerance(evidence, by_epoch=True)
    violations = list(_differences(expected, {e: found[e] for e in epochs}, tolerance, _unit(run)))
    if violations and evidence.is_resized and is_by_content(run):
        return unknown(BatchesCutDifferently())
    if violations:
        return failed(violations)
    num = counted(sum(found[epoch].total() for epoch in epochs), _unit(run))
    return passed(
        f"{num} in {counted(len(epochs), 'epoch')}, each as those before the first restart; in which order is not proved"
    )


class _Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """How many samples an epoch may differ by, because a different number of ranks pads and drops differently.

    Padding makes the last turn of an epoch whole: it stands in the last batch of a rank, and nowhere else.
    """

    num_extra: int = 0
    num_dropped: int = 0
    expected_ends: dict[int, Counter[Sample]] = {}
    """The samples of the ranks' last batches of each epoch, in the uninterrupted run."""
    found_ends: dict[int, Counter[Sample]] = {}
    """The same in the faulted run."""

    def allows(self, epoch: int, lost: Counter[Sample], extra: Counter[Sample], expected: Counter[Sample]) -> bool:
        """Whether this is padding (samples of the epoch once more or less) or a dropped tail."""
        gone = Counter({sample: num for sample, num in lost.items() if expected[sample] <= num})
        fresh = Counter({sample: num for sample, num in extra.items() if not expected[sample]})
        fewer, more = lost - gone, extra - fresh
        is_at_the_end = fewer <= self.expected_ends.get(epoch, Counter()) and more <= self.found_ends.get(
            epoch, Counter()
        )
        repeats = max(fewer.total(), more.total())
        return is_at_the_end and max(gone.total(), fresh.total()) <= self.num_dropped and repeats <= self.num_extra


def _tolerance(evidence: Evidence, *, by_epoch: bool) -> _Tolerance:
    if not evidence.is_resized:
        return _Tolerance()
    reference = next(iter(evidence.references), evidence.faulted)
    size = max(evidence.faulted.world_sizes)
    sizes = [loader.batch_size or 1 for loader in _loaders(evidence.faulted) if loader.drop_last]
    return _Tolerance(
        num_extra=(size - 1) * max(samples_a_turn(run) for run in (reference, evidence.faulted)),
        num_dropped=max((size * batch - 1 for batch in sizes), default=0),
        expected_ends=_ends(reference, by_epoch=by_epoch),
        found_ends=_ends(evidence.faulted, by_epoch=by_epoch),
    )


def _ends(run: Run, *, by_epoch: bool) -> dict[int, Counter[Sample]]:
    """The samples of the last batch that each rank trained on of an epoch, in the incarnation that came to its end."""
    last: dict[tuple[int, int], dict[tuple[int, int], TrainedBatch]] = {}
    for life in run.lives:
        for step in life.steps:
            for batch in step.batches:
                last.setdefault((batch.loader, batch.epoch), {})[life.incarnation, life.rank] = batch
    ends: dict[int, Counter[Sample]] = {}
    for (_, epoch), batches in last.items():
        latest = max(incarnation for incarnation, _ in batches)
        count = ends.setdefault(epoch if by_epoch else _ALL, Counter())
        for (incarnation, _), batch in batches.items():
            count.update(samples_of(batch.key) if incarnation == latest else ())
    return ends


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
        if wanted == got or tolerance.allows(epoch, lost, extra, wanted):
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
