"""Whether the tails of a sweep's chains were long enough for what it found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Scenario
from resumable.launch.sweep.training_length import TrainingLength


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far behind a fault something lies."""

    num_steps: float
    num_epochs: int
    """Epochs that have begun since."""


def too_short(points: Sequence[Scenario], verdicts: Mapping[str, Verdict], length: TrainingLength) -> list[Scenario]:
    """The points that were VALID in a chain as far as their tails reach, while others have failed as late as that.

    As late in steps, or in epochs: a bug that shows when the next epoch begins does so soon after a fault near its border.

    Args:
        points: Of the sweep.
        verdicts: Of its points, by name.
        length: What the references have shown.
    """
    placed = [
        (point, place, verdicts[point.name])
        for point in points
        if point.name in verdicts and (place := length.place_of(point)) is not None
    ]
    failures = [late for _, place, verdict in placed for late in _latenesses(place, verdict, length)]
    if not failures:
        return []
    latest = Reach(
        num_steps=max(late.num_steps for late in failures), num_epochs=max(late.num_epochs for late in failures)
    )
    return [
        point
        for point, place, verdict in placed
        if verdict.outcome is Outcome.VALID
        and verdict.until is not None
        and _is_too_short(_reach(place, verdict.until, length), latest, _reach(place, float("inf"), length))
    ]


def _is_too_short(tail: Reach, latest: Reach, job: Reach) -> bool:
    return tail.num_steps <= latest.num_steps or tail.num_epochs < min(latest.num_epochs, job.num_epochs)


def _latenesses(place: int, verdict: Verdict, length: TrainingLength) -> Iterator[Reach]:
    """How long after its fault a failure of a point shows first; what was seen once, or on warm nodes alone, is none."""
    if verdict.outcome is Outcome.VALID or verdict.confirmation in ("only once", "only warm"):
        return
    steps = [
        violation.step
        for report in verdict.checks
        if report.result.outcome is verdict.outcome
        for violation in report.result.violations
        if violation.step is not None
    ]
    yield _reach(place, min(steps) + 1 if steps else float("inf"), length)


def _reach(place: int, end: float, length: TrainingLength) -> Reach:
    """From one number of steps done to another."""
    return Reach(num_steps=end - place, num_epochs=sum(place < start < end for start in length.epoch_starts))
