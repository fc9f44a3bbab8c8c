from __future__ import annotations

import msgspec
import pytest

from resumable.launch.explain.check_result import Violation, failed
from resumable.launch.explain.codes.batch_problems import BatchDiffers
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import CheckReport, Verdict
from resumable.launch.sweep.tails import too_short
from tests.launch.sweep.sweeps import LENGTH, drawn, verdict

PROBLEM = BatchDiffers(rank=0, epoch=0, batch=0, is_by_content=False)
FAILED, SHORT, LONG, ALONE = sorted(drawn(at="0-3", ranks="0").points, key=lambda point: point.name)


def wrong_at(step: int | None) -> Verdict:
    """INVALID from this step on."""
    result = failed([Violation(problem=PROBLEM, step=step)])
    report = CheckReport(name="rank_sequence", claim="", result=result)
    return msgspec.structs.replace(verdict(Outcome.INVALID, PROBLEM), checks=(report,))


def good(until: int | None) -> Verdict:
    return msgspec.structs.replace(verdict(Outcome.VALID), chain="chain-0001", until=until)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, set()),
        (4, set()),
        (5, {SHORT.name}),
        (8, {SHORT.name}),
        (9, {SHORT.name, LONG.name}),
        (None, {SHORT.name, LONG.name}),
    ],
)
def test_points_that_were_not_followed_as_far_as_failures_show_are_tried_alone(
    step: int | None, expected: set[str]
) -> None:
    """The point that failed was killed after one step; the others were followed for 5, for 9 steps, and to the end."""
    verdicts = {FAILED.name: wrong_at(step), SHORT.name: good(7), LONG.name: good(12), ALONE.name: good(None)}
    points = (FAILED, SHORT, LONG, ALONE)
    assert expected == {point.name for point in too_short(points, verdicts, LENGTH)}


def test_where_nothing_fails_tails_are_long_enough() -> None:
    """And what has no verdict asks for nothing."""
    assert too_short((FAILED, SHORT), {SHORT.name: good(7)}, LENGTH) == []


@pytest.mark.parametrize(("until", "expected"), [(8, set()), (7, {"sigkill-step0001-rank0"})])
def test_what_shows_when_the_next_epoch_begins_is_looked_for_there(until: int, expected: set[str]) -> None:
    """Two steps after a fault in the third step of epoch 0; the other came in its second, and must be followed as far."""
    failed_at, other = sorted(drawn(at="1,2", ranks="0").points, key=lambda point: point.name)[::-1]
    verdicts = {failed_at.name: wrong_at(4), other.name: good(until - 3)}
    assert expected == {point.name for point in too_short((failed_at, other), verdicts, LENGTH)}


@pytest.mark.parametrize(("confirmation", "expected"), [("none", 1), ("both", 1), ("only once", 0), ("only warm", 0)])
def test_a_failure_that_was_not_seen_again_asks_for_no_longer_tails(confirmation: str, expected: int) -> None:
    """UNKNOWN or INVALID, but not once only."""
    late = msgspec.structs.replace(wrong_at(None), outcome=Outcome.UNKNOWN, confirmation=confirmation)
    assert expected == len(too_short((FAILED, SHORT), {FAILED.name: late, SHORT.name: good(7)}, LENGTH))
