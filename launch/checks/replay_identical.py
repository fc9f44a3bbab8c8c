"""Work that a restart threw away must be done again in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from resumable.launch.checks.check import Check
from resumable.launch.explain.check_result import CheckResult, Violation, failed, not_applicable, passed, violation_of
from resumable.launch.explain.codes.batch_problems import ReplayDiffers
from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life
from resumable.launch.reading.trained import TrainedBatch
from resumable.launch.system.wording import counted

Replay = list[tuple[TrainedBatch, TrainedBatch]]
"""Each batch that a process did again: the first time and this time."""


def _replay_identical(evidence: Evidence) -> CheckResult:
    replays = list(_replays(evidence))
    found = [_first_violation(life, replay) for life, replay in replays]
    violations = [violation for violation in found if violation is not None]
    num_batches = sum(len(replay) for _, replay in replays)
    if violations:
        return failed(violations, f"{counted(len(violations), 'process')} did different batches the second time")
    if not num_batches:
        return not_applicable("no batch was trained on twice")
    return passed(f"{counted(num_batches, 'batch')} done again, the same as the first time")


replay_identical = Check(
    name="replay_identical",
    claim="Steps that were lost and done again use the same batches as the first time.",
    run=_replay_identical,
    needs_reference=False,
    on_resize="the number of ranks changed, so the steps done again are cut differently",
    is_comparison=True,
    is_of_batches=True,
)


def _replays(evidence: Evidence) -> Iterator[tuple[Life, Replay]]:
    for timeline in evidence.faulted.timelines:
        unfinished: tuple[TrainedBatch, ...] = ()
        for life in timeline.lives:
            if life.resume is not None:
                yield life, _replay(life, unfinished)
            if life.steps or not life.incarnation:
                unfinished = life.unfinished


def _replay(life: Life, unfinished: Sequence[TrainedBatch]) -> Replay:
    lost = life.before[life.first_step :]
    pairs = [
        pair for old, new in zip(lost, life.steps, strict=False) for pair in zip(old.batches, new.batches, strict=False)
    ]
    if len(lost) < len(life.steps) and life.first_step <= len(life.before):
        pairs.extend(zip(unfinished, life.steps[len(lost)].batches, strict=False))
    return pairs


def _first_violation(life: Life, replay: Replay) -> Violation | None:
    place = first_difference([old.key for old, _ in replay], [new.key for _, new in replay])
    if place is None:
        return None
    old, new = replay[place]
    problem = ReplayDiffers(rank=life.rank, epoch=old.epoch, batch=old.batch, is_by_content=not old.indices)
    return violation_of(life, problem, at=old, line=new.line, expected=old.samples, found=new.samples)
