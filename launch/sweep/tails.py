"""Whether the tails of a sweep's chains were long enough for what it found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Scenario
from resumable.launch.sweep.training_length import TrainingLength


def too_short(points: Sequence[Scenario], verdicts: Mapping[str, Verdict], length: TrainingLength) -> list[Scenario]:
    """The points that were VALID in a chain as far as their tails reach, while others have failed as late as that.

    Args:
        points: Of the sweep.
        verdicts: Of its points, by name.
        length: What the references have shown.
    """
    judged = [(point, verdicts[point.name]) for point in points if point.name in verdicts]
    latest = max((late for point, verdict in judged for late in _latenesses(point, verdict, length)), default=None)
    if latest is None:
        return []
    return [
        point
        for point, verdict in judged
        if verdict.outcome is Outcome.VALID and verdict.until is not None and _tail(point, verdict, length) <= latest
    ]


def _latenesses(point: Scenario, verdict: Verdict, length: TrainingLength) -> Iterator[float]:
    """How many steps after its fault a failure of a point shows first."""
    place = length.place_of(point)
    if verdict.outcome is Outcome.INVALID and place is not None:
        steps = [
            violation.step
            for report in verdict.checks
            if report.result.outcome is Outcome.INVALID
            for violation in report.result.violations
            if violation.step is not None
        ]
        yield min(steps) + 1 - place if steps else float("inf")


def _tail(point: Scenario, verdict: Verdict, length: TrainingLength) -> float:
    """How many steps after its fault a point of a chain was followed."""
    place = length.place_of(point)
    return float("inf") if place is None or verdict.until is None else verdict.until - place
