"""The cases of a sweep as grids, and those that have no place in one."""

from __future__ import annotations

from collections.abc import Iterable

from resumable.launch.explain.outcome import Outcome, worst
from resumable.launch.judge.results import Case, Results
from resumable.launch.sweep.grid import Grid, grids_of


def case_grids(results: Results) -> tuple[Grid[Case], ...]:
    """The grids of a sweep."""
    return grids_of((case.planned_faults, case) for case in results.cases)


def outside_grids(results: Results) -> tuple[Case, ...]:
    """The cases that no grid shows: those without a fault, and all of an old file, which has faults as text alone."""
    return tuple(case for case in results.cases if not case.planned_faults)


def outcome_of(cases: Iterable[Case]) -> Outcome:
    """What a cell shows: the worst of its cases."""
    return worst(case.verdict.outcome for case in cases)
