"""Failures by cause: a sweep of a thousand cases has a few things wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from resumable.launch.explain.outcome import BY_SEVERITY, Outcome
from resumable.launch.judge.results import Case, Results
from resumable.launch.judge.verdict import Verdict


class CauseGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A cause and the cases that have it."""

    outcome: Outcome
    reason: str
    """The first case's, with its numbers."""
    advice: str
    """What to do about it; "" where nobody knows."""
    cases: tuple[Case, ...]


def causes_of(results: Results) -> tuple[CauseGroup, ...]:
    """All causes of what is not VALID: INVALID before UNKNOWN, then the one with the most cases.

    Two cases have one cause if their codes are the same and the parameters that make a difference: "rank 1 skipped batch 7"
    and "rank 0 skipped batch 3", but not a lost optimizer state and a lost scheduler state.
    """
    groups: dict[tuple[str, ...], list[Case]] = {}
    for case in results.cases:
        if case.verdict.outcome is not Outcome.VALID:
            groups.setdefault(kind_of(case.verdict), []).append(case)
    causes = [_group(cases) for cases in groups.values()]
    return tuple(sorted(causes, key=lambda cause: (BY_SEVERITY.index(cause.outcome), -len(cause.cases))))


def _group(cases: Sequence[Case]) -> CauseGroup:
    first = cases[0].verdict
    return CauseGroup(outcome=first.outcome, reason=first.reason, advice=first.advice, cases=tuple(cases))


def kind_of(verdict: Verdict) -> tuple[str, ...]:
    """The same for all verdicts of one cause, whether or not plain processes have confirmed it."""
    cause = (verdict.reason,) if verdict.cause is None else verdict.cause.kind  # version 1 has sentences alone
    is_contradicted = verdict.confirmation not in ("none", "both")
    return (verdict.outcome, verdict.confirmation if is_contradicted else "", *cause)
