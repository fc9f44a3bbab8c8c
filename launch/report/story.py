"""What is wrong in a run as a person reads it: the first difference, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import msgspec

from resumable.launch.evidence.rank_records import Index
from resumable.launch.explain.check_result import Violation
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict

MAX_CELLS = 64
"""Places of two batches that are shown beside each other."""
_NUM_BEFORE = 8
"""Of them, those that still agree."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One place of two batches."""

    expected: Index | None
    """None where there should be no sample."""
    found: Index | None
    is_equal: bool


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The violation to begin with."""

    check: str
    violation: Violation
    cells: tuple[Cell, ...]
    """Empty where it is not about two batches; of long ones what lies around the first difference."""
    num_hidden: int = 0
    """Places that are not shown."""


class Following(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found besides."""

    check: str
    outcome: Outcome
    violations: tuple[Violation, ...]


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """All violations of a run, in the order in which they are told."""

    first: Difference | None
    following: tuple[Following, ...]

    @property
    def num_following(self) -> int:
        """Violations that are told after the first."""
        return sum(len(group.violations) for group in self.following)


def story_of(verdict: Verdict) -> Story:
    """The first difference is what the check found that decided, of two batches if any of its own tells them.

    Where that check found none, as of a reference that proves nothing, what the others found is no beginning.
    """
    found = list(_found(verdict))
    if not found:
        return Story(first=None, following=())
    decided = found[0][0] if verdict.cause is None or not verdict.cause.check else verdict.cause.check
    own = [one for one in found if one[0] == decided]
    if not own:
        return Story(first=None, following=tuple(_following(verdict, "", 0)))
    check, number, first = next((one for one in own if _is_of_batches(one[-1])), own[0])
    cells = tuple(_cells(first.expected or (), first.found or ()))
    shown = _around_difference(cells)
    return Story(
        first=Difference(check=check, violation=first, cells=shown, num_hidden=len(cells) - len(shown)),
        following=tuple(_following(verdict, check, number)),
    )


def _found(verdict: Verdict) -> Iterator[tuple[str, int, Violation]]:
    """All violations with their checks and their numbers there; those of the check that decided come first."""
    cause = verdict.cause
    decided = [] if cause is None else [report for report in verdict.checks if report.name == cause.check]
    for report in [*decided, *(report for report in verdict.checks if report not in decided)]:
        for number, violation in enumerate(report.result.violations):
            yield report.name, number, violation


def _is_of_batches(violation: Violation) -> bool:
    return bool(violation.expected or violation.found)


def _following(verdict: Verdict, check: str, number: int) -> Iterator[Following]:
    for report in verdict.checks:
        violations = report.result.violations
        rest = violations[:number] + violations[number + 1 :] if report.name == check else violations
        if rest:
            yield Following(check=report.name, outcome=report.result.outcome, violations=rest)


def _cells(expected: Sequence[Index], found: Sequence[Index]) -> Iterator[Cell]:
    for one, other in zip_longest(expected, found):
        yield Cell(expected=one, found=other, is_equal=one == other)


def _around_difference(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    if len(cells) <= MAX_CELLS:
        return cells
    differs = next((number for number, cell in enumerate(cells) if not cell.is_equal), 0)
    start = max(0, differs - _NUM_BEFORE)
    return cells[start : start + MAX_CELLS]
