"""After a restart on another number of ranks no rank's own sequence can be compared, but all of them together can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from resumable.launch.explain.world_size import explain_resizing
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.global_stream import (
    GlobalStep,
    Sample,
    effective_stream,
    epochs_of,
    replayed,
    without_repeats,
)
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


def global_batches(evidence: Evidence) -> CheckResult:
    """On another number of ranks, all ranks together train on the samples of the uninterrupted run, in its order."""
    if not evidence.references:
        return not_applicable("there is no uninterrupted run to compare with")
    if not evidence.is_resized:
        return not_applicable("the number of ranks never changed")
    expected, found = (effective_stream(run) for run in (evidence.references[0], evidence.faulted))
    if all(step.incarnation == 0 for step in found):
        return unknown("no rank trained after a restart")
    sizes = " then ".join(map(str, evidence.faulted.world_sizes))
    if len(_global_batch_sizes(evidence)) == 1:
        violations = list(_other_sets(expected, found))
        summary = f"{sizes} ranks: {counted(len(found), 'global batch')} equal as sets"
    else:
        violations = list(_other_order(expected, found, _num_droppable(evidence)))
        summary = f"{sizes} ranks: every remaining sample once, in the same stream order"
    if violations:
        return failed(violations[0].sentence, violations)
    return passed(summary)


def _global_batch_sizes(evidence: Evidence) -> set[int | None]:
    """Samples of a whole step on all ranks, for every run and incarnation."""
    return {
        None if loader.batch_size is None else loader.batch_size * life.trajectory.process.start.world_size
        for run in (evidence.references[0], evidence.faulted)
        for life in run.lives
        for loader in life.trajectory.loaders.values()
    }


def _other_sets(expected: Sequence[GlobalStep], found: Sequence[GlobalStep]) -> Iterator[Violation]:
    """The first global batch that is another set of samples; padding, which repeats the epoch's own, does not count."""
    wanted_seen: dict[int, set[Sample]] = {}
    found_seen: dict[int, set[Sample]] = {}
    for number, (wanted, got) in enumerate(zip(expected, found, strict=False)):
        wanted_new, got_new = _news(wanted, wanted_seen), _news(got, found_seen)
        if set(wanted_new) != set(got_new):
            sentence = f"global batch {number} has other samples than in the uninterrupted run"
            yield _violation(
                sentence, wanted.epoch, number, sorted(wanted_new, key=_order), sorted(got_new, key=_order)
            )
            return
    if len(expected) != len(found):
        num = min(len(expected), len(found))
        at = max(expected, found, key=len)[num]
        sentence = f"training took {counted(len(found), 'global batch')}, the uninterrupted run {len(expected)}"
        yield _violation(sentence, at.epoch, num, [], [])


def _other_order(
    expected: Sequence[GlobalStep], found: Sequence[GlobalStep], num_droppable: int
) -> Iterator[Violation]:
    """The first sample of each epoch that comes at another place of the stream."""
    wanted_epochs, found_epochs = epochs_of(expected), epochs_of(found)
    for epoch in sorted(wanted_epochs.keys() | found_epochs.keys()):
        wanted, got = wanted_epochs.get(epoch, []), found_epochs.get(epoch, [])
        sentence = _epoch_in_other_order(epoch, wanted, got, num_droppable)
        if sentence is None:
            continue
        order = without_repeats(wanted)
        why = explain_resizing(found, epoch, order, before=expected[0].world_size if expected else 0)
        start = _first_other_place(order, without_repeats(got))
        yield _violation(sentence, epoch, None, order[start:], without_repeats(got)[start:], explanation=why)


def _epoch_in_other_order(
    epoch: int, wanted: Sequence[Sample], got: Sequence[Sample], num_droppable: int
) -> str | None:
    """What is wrong with an epoch; None if only its padding or its dropped tail is another."""
    again = [] if replayed(wanted) else replayed(got)
    if again:
        return f"epoch {epoch} trains on {counted(len(again), 'sample')} again, from sample {again[0]} of it on"
    wanted, got = without_repeats(wanted), without_repeats(got)
    start = _first_other_place(wanted, got)
    if start < min(len(wanted), len(got)):
        return f"from sample {start} of epoch {epoch} on the ranks' common order is another"
    if abs(len(wanted) - len(got)) > num_droppable:
        return f"epoch {epoch} has {counted(len(got), 'sample')}, in the uninterrupted run {len(wanted)}"
    return None


def _first_other_place(wanted: Sequence[Sample], got: Sequence[Sample]) -> int:
    """Length of the common beginning."""
    num = min(len(wanted), len(got))
    return next((place for place in range(num) if wanted[place] != got[place]), num)


def _num_droppable(evidence: Evidence) -> int:
    """Samples that may miss at an epoch's end, or be there in addition, because a loader drops its tail."""
    return max(
        (
            life.trajectory.process.start.world_size * (loader.batch_size or 1) - 1
            for run in (evidence.references[0], evidence.faulted)
            for life in run.lives
            for loader in life.trajectory.loaders.values()
            if loader.drop_last
        ),
        default=0,
    )


def _news(step: GlobalStep, seen: dict[int, set[Sample]]) -> list[Sample]:
    """Samples that the epoch has not had before."""
    known = seen.setdefault(step.epoch, set())
    new = [sample for sample in without_repeats(step.samples) if sample not in known]
    known.update(new)
    return new


def _order(sample: Sample) -> tuple[bool, int, str]:
    return (isinstance(sample, str), sample if isinstance(sample, int) else 0, str(sample))


def _violation(
    sentence: str,
    epoch: int,
    step: int | None,
    expected: Sequence[Sample],
    found: Sequence[Sample],
    *,
    explanation: str = "",
) -> Violation:
    return Violation(
        sentence=sentence,
        explanation=explanation,
        epoch=epoch,
        step=step,
        expected=tuple(expected[:MAX_INDICES]),
        found=tuple(found[:MAX_INDICES]),
    )
