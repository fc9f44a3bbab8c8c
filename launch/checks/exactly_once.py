"""Bookkeeping over all ranks: nothing lost, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from resumable.launch.evidence.rank_records import Loader
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.global_stream import Sample, samples_of
from resumable.launch.reading.lives import Run
from resumable.launch.reading.outcome import (
    MAX_INDICES,
    CheckResult,
    Violation,
    failed,
    not_applicable,
    passed,
    unknown,
)
from resumable.launch.system.wording import counted

_ALL = -1
"""Stands for all epochs together."""


def exactly_once(evidence: Evidence) -> CheckResult:
    """Over all ranks and restarts, each epoch trains on its samples as often as the uninterrupted run does."""
    if not evidence.references:
        return not_applicable("there is no uninterrupted run to compare with")
    by_epoch = not evidence.traits.side_by_side
    expected = _counts(evidence.references[0], by_epoch=by_epoch)
    found = _counts(evidence.faulted, by_epoch=by_epoch)
    faulty = list(_faulty_epochs(evidence, expected)) if by_epoch else []
    violations = [*faulty, *_differences(expected, found, _tolerance(evidence))]
    if violations:
        return failed(violations[0].sentence, violations)
    if not found:
        return unknown("nothing was trained on")
    num_samples = sum(count.total() for count in found.values())
    return passed(f"{counted(num_samples, 'sample')} in {counted(len(found), 'epoch')}, none lost, none too often")


class _Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """How many samples an epoch may differ by, because another number of ranks pads and drops otherwise."""

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
    return _Tolerance(num_extra=size - 1, num_dropped=max((size * batch - 1 for batch in sizes), default=0))


def _counts(run: Run, *, by_epoch: bool) -> dict[int, Counter[Sample]]:
    """How often each sample was trained on, in every epoch."""
    counts: dict[int, Counter[Sample]] = {}
    for timeline in run.timelines:
        for step in timeline.steps:
            for batch in step.batches:
                counts.setdefault(batch.epoch if by_epoch else _ALL, Counter()).update(samples_of(batch.key))
    return counts


def _differences(
    expected: dict[int, Counter[Sample]], found: dict[int, Counter[Sample]], tolerance: _Tolerance
) -> Iterator[Violation]:
    for epoch in sorted(expected.keys() | found.keys()):
        wanted, got = expected.get(epoch, Counter()), found.get(epoch, Counter())
        if wanted == got:
            continue
        lost, extra = wanted - got, got - wanted
        if not tolerance.allows(lost, extra, wanted):
            yield _violation(epoch, lost, extra)


def _violation(epoch: int, lost: Counter[Sample], extra: Counter[Sample]) -> Violation:
    parts = [(lost, "lost"), (extra, "trained on too often")]
    said = " and ".join(f"{counted(count.total(), 'sample')} {what}" for count, what in parts if count)
    where = "all epochs together" if epoch == _ALL else f"epoch {epoch}"
    return Violation(
        sentence=f"{where}: {said}",
        epoch=None if epoch == _ALL else epoch,
        lost=tuple(lost.elements())[:MAX_INDICES],
        extra=tuple(extra.elements())[:MAX_INDICES],
    )


def _faulty_epochs(evidence: Evidence, expected: dict[int, Counter[Sample]]) -> Iterator[Violation]:
    """Epochs of the reference itself that repeat samples beyond padding, though their sampler should permute."""
    loaders = _loaders(evidence.references[0])
    num_samples = {loader.num_samples for loader in loaders}
    if not loaders or len(num_samples) != 1 or not all(_is_permutation(loader.sampler) for loader in loaders):
        return
    num = num_samples.pop()
    for epoch, counts in expected.items() if num else ():
        num_repeats = counts.total() - len(counts)
        num_padding = max(0, counts.total() - (num or 0))
        if num_repeats > num_padding:
            repeated = [sample for sample, times in counts.items() if times > 1]
            yield Violation(
                sentence=f"epoch {epoch} of the uninterrupted run itself has {counted(num_repeats, 'repeated sample')}",
                explanation=f"its order is no permutation: padding explains {num_padding}",
                epoch=epoch,
                extra=tuple(repeated[:MAX_INDICES]),
            )


def _is_permutation(sampler: str) -> bool:
    """Whether a sampler's name says that it permutes; torch's own `RandomSampler` may draw with replacement."""
    says = any(word in sampler for word in ("Distributed", "Random", "Sequential"))
    denies = any(word in sampler for word in ("Weighted", "Replacement", "Subset"))
    return says and not denies and sampler != "RandomSampler"


def _loaders(run: Run) -> Sequence[Loader]:
    return [loader for life in run.lives for loader in life.trajectory.loaders.values()]
