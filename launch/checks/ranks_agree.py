"""The ranks of one group must stand at the same place."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

from launch.checks.result import CheckResult, Violation, counted, failed, not_applicable, passed
from launch.evidence import Evidence
from launch.timeline import Life


def ranks_agree(evidence: Evidence) -> CheckResult:
    """After each restart all ranks go on from the same step in the same epoch."""
    groups: dict[int, list[Life]] = {}
    for life in evidence.faulted.lives:
        if life.resume is not None:
            groups.setdefault(life.incarnation, []).append(life)
    if not groups:
        return not_applicable("no rank trained after a restart")
    violations = [violation for number, lives in groups.items() for violation in _disagreements(number, lives)]
    if violations:
        return failed(violations[0].sentence, violations)
    points = ", ".join(f"step {lives[0].first_step}" for lives in groups.values())
    return passed(f"{counted(len(groups), 'restart')}: all ranks went on from {points}")


def _disagreements(incarnation: int, lives: list[Life]) -> Iterator[Violation]:
    by_step = {life.rank: life.first_step for life in lives}
    by_epoch = {life.rank: life.trajectory.sampler_epoch for life in lives}
    for what, values in (("went on from step", by_step), ("had a sampler in epoch", by_epoch)):
        if len(set(values.values())) > 1:
            sentence = f"in incarnation {incarnation} " + _spelled(what, values)
            yield Violation(
                sentence=sentence,
                explanation="each rank must restore the same progress; is its state saved once, or by every rank?",
                incarnation=incarnation,
            )


def _spelled(what: str, values: Mapping[int, Hashable]) -> str:
    """`rank 0 went on from step 8, rank 1 from step 5`: the first rank of every value."""
    first: dict[Hashable, int] = {}
    for rank, value in values.items():
        first.setdefault(value, rank)
    return ", ".join(f"rank {rank} {what} {value}" for value, rank in first.items())
