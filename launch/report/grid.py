"""The cases of a sweep as grids, and those that have no place in one."""

from __future__ import annotations

from collections.abc import Iterable

from resumable.launch.explain.outcome import Outcome, worst
from resumable.launch.judge.results import Case, LeftOut, Results
from resumable.launch.sweep.grid import Grid, grids_of
from resumable.launch.sweep.marks import NOT_RUN, OUTCOMES, Mark

Point = Case | LeftOut


def case_grids(results: Results) -> tuple[Grid[Point], ...]:
    """The grids of a sweep, with what was not run."""
    points: list[Point] = [*results.cases, *results.left_out]
    return grids_of((point.planned_faults, point) for point in points)


def outside_grids(results: Results) -> tuple[Case, ...]:
    """The cases that no grid shows: those without a fault, and all of an old file, which has faults as text alone."""
    return tuple(case for case in results.cases if not case.planned_faults)


def outcome_of(points: Iterable[Point]) -> Outcome | None:
    """What a cell shows: the worst of its cases; None if none was run."""
    outcomes = [point.verdict.outcome for point in points if isinstance(point, Case)]
    return worst(outcomes) if outcomes else None


def mark_of_cell(points: Iterable[Point]) -> Mark:
    """How a cell looks."""
    outcome = outcome_of(points)
    return NOT_RUN if outcome is None else OUTCOMES[outcome]


def marks_for(results: Results) -> tuple[Mark, ...]:
    """All looks that the cells of a sweep may have, for a legend."""
    return (*OUTCOMES.values(), *([NOT_RUN] if results.left_out else []))
