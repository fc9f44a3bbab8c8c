"""What a check says."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from resumable.launch.evidence.rank_records import Index
from resumable.launch.outcome import Outcome

MAX_INDICES = 256
"""Indices of a batch or a set that a violation keeps; the rest is counted in its sentence."""


class Violation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is not as it should be; what is not known or not meant is None."""

    sentence: str
    """What is wrong."""
    explanation: str = ""
    """Why, in the words of samplers and checkpoints, as far as the evidence lets one say."""
    rank: int | None = None
    incarnation: int | None = None
    epoch: int | None = None
    """Since training began."""
    batch: int | None = None
    """Batch of the epoch, on this rank."""
    step: int | None = None
    """Since training began, from 0."""
    expected: tuple[Index, ...] | None = None
    """A batch's samples in their order; () where there should be no batch."""
    found: tuple[Index, ...] | None = None
    lost: tuple[Index, ...] = ()
    """Samples of a set that are missing, in no order."""
    extra: tuple[Index, ...] = ()
    """Samples of a set that should not be there, or not that often."""
    file: str | None = None
    """Relative to the run directory."""
    line: int | None = None


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer of one check."""

    outcome: Outcome
    summary: str
    """One line with figures."""
    name: str = ""
    violations: tuple[Violation, ...] = ()


def passed(summary: str) -> CheckResult:
    """It is as it should be."""
    return CheckResult(outcome=Outcome.VALID, summary=summary)


def failed(summary: str, violations: Iterable[Violation] = ()) -> CheckResult:
    """It is not as it should be, and the job is to blame."""
    return CheckResult(outcome=Outcome.INVALID, summary=summary, violations=tuple(violations))


def unknown(summary: str, violations: Iterable[Violation] = ()) -> CheckResult:
    """The evidence does not tell."""
    return CheckResult(outcome=Outcome.UNKNOWN, summary=summary, violations=tuple(violations))


def not_applicable(reason: str) -> CheckResult:
    """There is nothing to check; this never changes a verdict."""
    return CheckResult(outcome=Outcome.NOT_APPLICABLE, summary=reason)
