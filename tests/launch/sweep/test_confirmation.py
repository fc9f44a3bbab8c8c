from __future__ import annotations

import pytest

from resumable.launch.judge.causes import HOLDS_COLD
from resumable.launch.outcome import Outcome
from resumable.launch.sweep.confirmation import confirmed, unconfirmed
from tests.launch.sweep.sweeps import drawn, verdict

VALID, INVALID, UNKNOWN = Outcome.VALID, Outcome.INVALID, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("warm", "cold", "outcome", "words"),
    [
        (INVALID, INVALID, INVALID, "warm words (holds cold)"),
        (UNKNOWN, UNKNOWN, UNKNOWN, "warm words (holds cold)"),
        (INVALID, VALID, UNKNOWN, "warm words (only warm: INVALID; cold it was VALID)"),
        (INVALID, UNKNOWN, UNKNOWN, "warm words (only warm: INVALID; cold it was UNKNOWN: cold words)"),
        (UNKNOWN, VALID, UNKNOWN, "warm words (only warm: UNKNOWN; cold it was VALID)"),
        (UNKNOWN, INVALID, INVALID, "cold words (only cold; warm it was UNKNOWN: warm words)"),
    ],
)
def test_what_only_the_warm_node_shows_is_unknown(warm: Outcome, cold: Outcome, outcome: Outcome, words: str) -> None:
    """Never hidden: the reason tells both; what plain processes show is proved."""
    made = confirmed(verdict(warm, "warm words"), verdict(cold, "cold words"))
    assert (outcome, words) == (made.outcome, made.reason)


def test_each_cause_is_confirmed_before_any_is_confirmed_twice() -> None:
    """Reasons that differ only in numbers are one cause; what is VALID or done is left out."""
    points = drawn(at="0-5", ranks="0").points
    reasons = ["", "rank 0 skipped batch 1", "rank 0 skipped batch 2", "rank 0 skipped batch 3", "lost", "done"]
    verdicts = {
        point.name: verdict(INVALID if reason else VALID, reason) for point, reason in zip(points, reasons, strict=True)
    }
    order = unconfirmed(points, verdicts, {points[5].name})
    assert [points[1], points[4], points[2], points[3]] == order


@pytest.mark.parametrize(("is_cold", "expected"), [((), ["lost", "skipped 2"]), ((1,), ["lost"]), ((0, 1), [])])
def test_one_of_every_cause_can_be_enough(is_cold: tuple[int, ...], expected: list[str]) -> None:
    """A cause of which one point has been run cold is confirmed, by whatever words."""
    points = drawn(at="0-2", ranks="0").points
    reasons = ["lost", "skipped 2", "skipped 1"]
    told = [f"{reason}{HOLDS_COLD if number in is_cold else ''}" for number, reason in enumerate(reasons)]
    verdicts = {point.name: verdict(INVALID, reason) for point, reason in zip(points, told, strict=True)}
    waiting = unconfirmed(points, verdicts, {points[number].name for number in is_cold}, which="cause")
    assert expected == [verdicts[point.name].reason for point in waiting]


def test_a_point_without_a_verdict_is_not_confirmed() -> None:
    """It has not been run at all."""
    assert unconfirmed(drawn(at="3").points, {}, ()) == []
