from __future__ import annotations

import pytest

from resumable.launch.explain.codes.faults import NoFaultPlanned
from resumable.launch.explain.codes.verdicts import NothingTrained
from resumable.launch.explain.outcome import Outcome
from resumable.launch.sweep.confirmation import confirmed, unconfirmed
from tests.launch.sweep.sweeps import drawn, skipped, verdict

VALID, INVALID, UNKNOWN = Outcome.VALID, Outcome.INVALID, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("warm", "plain", "outcome", "words"),
    [
        (INVALID, INVALID, INVALID, "PLAIN (on plain processes; on a warm node it was INVALID: WARM)"),
        (UNKNOWN, UNKNOWN, UNKNOWN, "WARM (on a warm node: UNKNOWN; on plain processes it was UNKNOWN: PLAIN)"),
        (INVALID, VALID, UNKNOWN, "WARM (only on a warm node: INVALID; on plain processes it was VALID)"),
        (INVALID, UNKNOWN, UNKNOWN, "WARM (only on a warm node: INVALID; on plain processes it was UNKNOWN: PLAIN)"),
        (UNKNOWN, VALID, UNKNOWN, "WARM (only on a warm node: UNKNOWN; on plain processes it was VALID)"),
        (UNKNOWN, INVALID, INVALID, "PLAIN (only on plain processes; on a warm node it was UNKNOWN: WARM)"),
    ],
)
def test_what_only_the_warm_node_shows_is_unknown(warm: Outcome, plain: Outcome, outcome: Outcome, words: str) -> None:
    """Never hidden: the reason tells both; what plain processes show is proved."""
    made = confirmed(verdict(warm, NoFaultPlanned()), verdict(plain, NothingTrained()))
    expected = words.replace("WARM", str(NoFaultPlanned())).replace("PLAIN", str(NothingTrained()))
    assert (outcome, expected) == (made.outcome, made.reason)


@pytest.mark.parametrize("outcome", [INVALID, UNKNOWN])
def test_one_cause_confirms_the_other_run(outcome: Outcome) -> None:
    """Wherever in the job it showed."""
    made = confirmed(verdict(outcome, skipped(1)), verdict(outcome, skipped(2)))
    assert (outcome, "both", True) == (
        made.outcome,
        made.confirmation,
        made.reason.endswith("(holds on plain processes)"),
    )


def test_each_cause_is_confirmed_before_any_is_confirmed_twice() -> None:
    """Problems that differ only in where are one cause; what is VALID or done is left out."""
    points = drawn(at="0-5", ranks="0").points
    problems = [None, skipped(1), skipped(2), skipped(3), NothingTrained(), NoFaultPlanned()]
    verdicts = {
        point.name: verdict(INVALID if problem else VALID, problem)
        for point, problem in zip(points, problems, strict=True)
    }
    order = unconfirmed(points, verdicts, {points[5].name})
    assert [points[1], points[4], points[2], points[3]] == order


@pytest.mark.parametrize(("done", "expected"), [((), [0, 1]), ((1,), [0]), ((0, 1), [])])
def test_one_of_every_cause_can_be_enough(done: tuple[int, ...], expected: list[int]) -> None:
    """A cause of which one point has been run on plain processes is confirmed, whatever its reason reads like now."""
    points = drawn(at="0-2", ranks="0").points
    found = [verdict(INVALID, problem) for problem in (NothingTrained(), skipped(2), skipped(1))]
    found = [confirmed(each, each) if number in done else each for number, each in enumerate(found)]
    verdicts = {point.name: each for point, each in zip(points, found, strict=True)}
    waiting = unconfirmed(points, verdicts, {points[number].name for number in done}, num_alike=1)
    assert [points[number] for number in expected] == waiting


def test_what_plain_processes_contradict_confirms_no_other_point() -> None:
    """The next one with the cause has its turn."""
    points = drawn(at="0-2", ranks="0").points
    found = [verdict(INVALID, skipped(batch)) for batch in range(3)]
    found[0] = confirmed(found[0], verdict(VALID))
    verdicts = {point.name: each for point, each in zip(points, found, strict=True)}
    assert [points[1]] == unconfirmed(points, verdicts, {points[0].name}, num_alike=1)


def test_a_point_without_a_verdict_is_not_confirmed() -> None:
    """It has not been run at all."""
    assert unconfirmed(drawn(at="3").points, {}, ()) == []
