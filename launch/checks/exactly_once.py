"""Bookkeeping over all ranks: nothing lost, nothing duplicated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from resumable.launch.checks.check import Check
from resumable.launch.evidence.rank_records import Index
from resumable.launch.explain.check_result import (
    MAX_INDICES,
    CheckResult,
    Violation,
    failed,
    not_applicable,
    passed,
    unknown,
)
from resumable.launch.explain.codes.batch_problems import BatchesCutDifferently, SamplesMiscounted, Unit
from resumable.launch.explain.codes.ends import JobUnfinished
from resumable.launch.explain.codes.verdicts import NothingTrained
from resumable.launch.reading.epoch_samples import ALL_EPOCHS, EpochSamples, usual_epoch
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.failures import came_to_its_end
from resumable.launch.reading.global_stream import is_by_content, num_dropped, samples_a_turn
from resumable.launch.reading.lives import Run
from resumable.launch.reading.trained import TrainedBatch
from resumable.launch.system.wording import counted


def _exactly_once(evidence: Evidence) -> CheckResult:
    if not evidence.references:
        return _as_before(evidence)
    by_epoch = not evidence.profile.interleaves_loaders
    expected, found = (
        EpochSamples((timeline.steps for timeline in run.timelines), by_epoch=by_epoch)
        for run in (evidence.references[0], evidence.faulted)
    )
    is_whole = came_to_its_end(evidence.faulted)
    unit = _unit(evidence.references[0])
    epochs = sorted({*found.epochs, *expected.epochs})
    pairs = ((e, expected.count(e), found.count(e)) for e in epochs if not found.is_alike(expected, e))
    violations = list(_differences(pairs, _tolerance(evidence, by_epoch=by_epoch), unit, is_whole=is_whole))
    if violations and evidence.is_resized and is_by_content(evidence.faulted):
        return unknown(BatchesCutDifferently())
    if violations:
        return failed(violations)
    if not found.epochs:
        return unknown(NothingTrained()) if expected.epochs else not_applicable("no batch was seen in any run")
    if not is_whole and not evidence.is_cut:
        return unknown(JobUnfinished())
    num = counted(found.num_samples(found.epochs), unit)
    return passed(f"{num} in {counted(len(found.epochs), 'epoch')}, none lost, none duplicated")


exactly_once = Check(
    name="exactly_once",
    claim="Over all ranks and restarts, each epoch trains on its samples as often as the uninterrupted run does.",
    run=_exactly_once,
    needs_reference=False,
    is_comparison=True,
    is_of_batches=True,
    proves=frozenset({"samples"}),
)


def _as_before(evidence: Evidence) -> CheckResult:
    """Without a reference: each epoch after a restart as the whole ones before it, as far as the job has come."""
    run = evidence.faulted
    if len(run.history.incarnations) < 2 or evidence.profile.interleaves_loaders:
        return not_applicable("there is no uninterrupted run to compare with")
    usual = usual_epoch(run)
    if usual is None:
        return not_applicable("no epoch that was whole before the first restart says what an epoch holds")
    wanted, num_padding = usual
    found = EpochSamples(timeline.steps for timeline in run.timelines)
    epochs = found.epochs if came_to_its_end(run) else found.epochs[:-1]
    pairs = ((epoch, wanted, found.count(epoch)) for epoch in epochs)
    tolerance = _tolerance(evidence, by_epoch=True, num_padding=num_padding)
    violations = list(_differences(pairs, tolerance, _unit(run), is_whole=True))
    if violations and evidence.is_resized and is_by_content(run):
        return unknown(BatchesCutDifferently())
    if violations:
        return failed(violations)
    num = counted(found.num_samples(epochs), _unit(run))
    return passed(f"{num} in {counted(len(epochs), 'epoch')}, each as those before the first restart")


class _Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """How many samples an epoch may differ by, because another number of ranks, or epoch, pads and drops differently.

    Padding makes the last turn of an epoch whole: it stands in the last batch of a rank, and nowhere else.
    """

    num_extra: int = 0
    num_dropped: int = 0
    expected_ends: dict[int, Counter[Index]] = {}
    """The samples of the ranks' last batches of each epoch, in the uninterrupted run."""
    found_ends: dict[int, Counter[Index]] = {}
    """The same in the faulted run."""

    def allows(self, epoch: int, lost: Counter[Index], extra: Counter[Index], expected: Counter[Index]) -> bool:
        """Whether this is nothing, padding (samples of the epoch once more or less) or a dropped tail."""
        gone = Counter({sample: num for sample, num in lost.items() if expected[sample] <= num})
        fresh = Counter({sample: num for sample, num in extra.items() if not expected[sample]})
        fewer, more = lost - gone, extra - fresh
        is_at_the_end = fewer <= self.expected_ends.get(epoch, Counter()) and more <= self.found_ends.get(
            epoch, Counter()
        )
        repeats = max(fewer.total(), more.total())
        return is_at_the_end and max(gone.total(), fresh.total()) <= self.num_dropped and repeats <= self.num_extra


def _tolerance(evidence: Evidence, *, by_epoch: bool, num_padding: int = 0) -> _Tolerance:
    """What is allowed; `num_padding`: samples once more in each epoch, whichever they are, on the same number of ranks."""
    if not evidence.is_resized:
        ends = _ends(evidence.faulted, by_epoch=by_epoch) if num_padding else {}
        return _Tolerance(num_extra=num_padding, found_ends=ends)
    reference = next(iter(evidence.references), evidence.faulted)
    most_a_turn = max(map(samples_a_turn, (reference, evidence.faulted)))
    return _Tolerance(
        num_extra=(max(evidence.faulted.world_sizes) - 1) * most_a_turn,
        num_dropped=num_dropped(evidence.faulted),
        expected_ends=_ends(reference, by_epoch=by_epoch),
        found_ends=_ends(evidence.faulted, by_epoch=by_epoch),
    )


def _ends(run: Run, *, by_epoch: bool) -> dict[int, Counter[Index]]:
    """The samples of the last batch that each rank trained on of an epoch, in the incarnation that came to its end."""
    last: dict[tuple[int, int], dict[tuple[int, int], TrainedBatch]] = {}
    for life in run.lives:
        for step in life.steps:
            for batch in step.batches:
                last.setdefault((batch.loader, batch.epoch), {})[life.incarnation, life.rank] = batch
    ends: dict[int, Counter[Index]] = {}
    for (_, epoch), batches in last.items():
        latest = max(incarnation for incarnation, _ in batches)
        count = ends.setdefault(epoch if by_epoch else ALL_EPOCHS, Counter())
        for (incarnation, _), batch in batches.items():
            count.update(batch.samples if incarnation == latest else ())
    return ends


def _unit(run: Run) -> Unit:
    """What is counted: samples where indices are known, else batches by their content."""
    batches = (batch for timeline in run.timelines for step in timeline.steps for batch in step.batches)
    first = next((batch for batch in batches if batch.key is not None), None)
    return "sample" if first is not None and first.indices else "batch"


def _differences(
    pairs: Iterable[tuple[int, Counter[Index], Counter[Index]]], tolerance: _Tolerance, unit: Unit, *, is_whole: bool
) -> Iterator[Violation]:
    """What is lost and what is too much, of each epoch.

    Args:
        pairs: Each epoch with what is expected and what was found in it.
        tolerance: What is allowed.
        unit: What is counted.
        is_whole: The job came to its end: what it has not done is lost.
    """
    for epoch, wanted, got in pairs:
        lost, extra = wanted - got if is_whole else Counter(), got - wanted
        if tolerance.allows(epoch, lost, extra, wanted):
            continue
        number = None if epoch == ALL_EPOCHS else epoch
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
            lost=tuple(islice(lost.elements(), MAX_INDICES)),
            extra=tuple(islice(extra.elements(), MAX_INDICES)),
        )
