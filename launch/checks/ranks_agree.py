"""The ranks of one group must stand at the same place."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.outcome import CheckResult, Violation, failed, not_applicable, passed
from resumable.launch.system.wording import counted


def ranks_agree(evidence: Evidence) -> CheckResult:
    """After each restart all ranks go on from the same step in the same epoch."""
    groups = {number: _resumed(evidence.faulted, number) for number in evidence.faulted.history.incarnations}
    groups = {number: lives for number, lives in groups.items() if lives}
    if not groups:
        return not_applicable("no rank trained after a restart")
    violations = [
        Violation(
            sentence=f"in incarnation {number} {words}",
            explanation="each rank must restore the same progress; is its state saved once, or by every rank?",
            incarnation=number,
        )
        for number in groups
        for words in disagreements(evidence.faulted, number)
    ]
    if violations:
        return failed(violations[0].sentence, violations)
    points = ", ".join(f"step {lives[0].first_step}" for lives in groups.values())
    return passed(f"{counted(len(groups), 'restart')}: all ranks went on from {points}")


def disagreements(run: Run, incarnation: int) -> list[str]:
    """In what the ranks of a group differed when they went on: `rank 0 went on from step 8, rank 1 went on from step 5`."""
    lives = _resumed(run, incarnation)
    by_step = {life.rank: life.first_step for life in lives}
    by_epoch = {life.rank: life.trajectory.sampler_epoch for life in lives}
    compared = (("went on from step", by_step), ("had a sampler in epoch", by_epoch))
    return [_spelled(what, values) for what, values in compared if len(set(values.values())) > 1]


def _resumed(run: Run, incarnation: int) -> list[Life]:
    return [life for life in run.resumed if life.incarnation == incarnation]


def _spelled(what: str, values: Mapping[int, Hashable]) -> str:
    """The first rank of every value."""
    first: dict[Hashable, int] = {}
    for rank, value in values.items():
        first.setdefault(value, rank)
    return ", ".join(f"rank {rank} {what} {value}" for value, rank in first.items())
