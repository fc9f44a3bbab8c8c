"""Cases that failed for the same reason, put together: a sweep finds one bug at many places."""

from __future__ import annotations

import re

import msgspec

from resumable.launch.judge.results import Case, Results
from resumable.launch.outcome import BY_SEVERITY, Outcome

HOLDS_COLD = " (holds cold)"
"""What a sweep adds to a reason that plain processes gave too."""
_NUMBER = re.compile(r"\d+")
_PLURAL = re.compile(r"\b(batch|sample|step|rank|epoch)(es|s)\b")


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A reason and the cases that gave it."""

    outcome: Outcome
    reason: str
    """As the first case says it, with its numbers."""
    cases: tuple[Case, ...]


def causes_of(results: Results) -> tuple[Cause, ...]:
    """All causes of what is not VALID: INVALID before UNKNOWN, then the one with the most cases.

    Two reasons are one cause if they differ only in numbers: "rank 1 skipped batch 7" and "rank 0 skipped batch 3".
    """
    groups: dict[tuple[Outcome, str], list[Case]] = {}
    for case in results.cases:
        if case.verdict.outcome is not Outcome.VALID:
            groups.setdefault((case.verdict.outcome, shape_of(case.verdict.reason)), []).append(case)
    causes = [
        Cause(outcome=outcome, reason=cases[0].verdict.reason, cases=tuple(cases))
        for (outcome, _), cases in groups.items()
    ]
    return tuple(sorted(causes, key=lambda cause: (BY_SEVERITY.index(cause.outcome), -len(cause.cases))))


def shape_of(reason: str) -> str:
    """The reason without its numbers, which is the same for all cases of one cause, whether or not they were run cold."""
    return _PLURAL.sub(r"\1", _NUMBER.sub("#", reason.removesuffix(HOLDS_COLD)))
