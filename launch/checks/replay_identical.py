"""Work that a restart threw away must be done again in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life
from resumable.launch.reading.outcome import MAX_INDICES, CheckResult, Violation, failed, not_applicable, passed
from resumable.launch.reading.trajectory import TrainedBatch
from resumable.launch.system.wording import counted


def replay_identical(evidence: Evidence) -> CheckResult:
    """Steps that were lost and done again use the same batches as the first time."""
    if evidence.is_resized:
        return not_applicable("the number of ranks changed, so the steps done again are cut otherwise")
    replays = [(life, pairs) for life, pairs in _replays(evidence) if pairs]
    violations = [violation for life, pairs in replays for violation in _first_difference(life, pairs)]
    num_batches = sum(len(pairs) for _, pairs in replays)
    if violations:
        return failed(f"{counted(len(violations), 'process')} did other batches the second time", violations)
    if not num_batches:
        return not_applicable("no batch was trained on twice")
    return passed(f"{counted(num_batches, 'batch')} done again, the same as the first time")


def _replays(evidence: Evidence) -> Iterator[tuple[Life, list[tuple[TrainedBatch, TrainedBatch]]]]:
    """Every process after a restart, with each batch done again: the first time and this time."""
    for timeline in evidence.faulted.timelines:
        unfinished: tuple[TrainedBatch, ...] = ()
        for life in timeline.lives:
            if life.resume is not None:
                yield life, _repeated(life, unfinished)
            if life.steps or not life.incarnation:
                unfinished = life.unfinished


def _repeated(life: Life, unfinished: Sequence[TrainedBatch]) -> list[tuple[TrainedBatch, TrainedBatch]]:
    lost = life.before[life.first_step :]
    pairs = [
        pair for old, new in zip(lost, life.steps, strict=False) for pair in zip(old.batches, new.batches, strict=False)
    ]
    if len(lost) < len(life.steps) and life.first_step <= len(life.before):
        pairs.extend(zip(unfinished, life.steps[len(lost)].batches, strict=False))
    return pairs


def _first_difference(life: Life, pairs: Sequence[tuple[TrainedBatch, TrainedBatch]]) -> Iterator[Violation]:
    differing = next(((old, new) for old, new in pairs if old.key != new.key), None)
    if differing is not None:
        old, new = differing
        yield Violation(
            sentence=f"rank {life.rank} did batch {old.batch} of epoch {old.epoch} again with other samples",
            rank=life.rank,
            incarnation=life.incarnation,
            epoch=old.epoch,
            batch=old.batch,
            expected=old.samples[:MAX_INDICES],
            found=new.samples[:MAX_INDICES],
            file=life.trajectory.process.file,
            line=new.line,
        )
