from __future__ import annotations

import pytest

from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Restarts, Scenario
from resumable.launch.sweep.alike import Alike
from resumable.launch.sweep.chains import chain_of
from tests.launch.sweep.sweeps import drawn, skipped, verdict

MADE = drawn(at="all", ranks="0,1")
LOOKS = {
    ".": verdict(Outcome.VALID),
    "X": verdict(Outcome.INVALID, skipped(3)),
    "x": verdict(Outcome.INVALID, skipped(7)),
    "?": verdict(Outcome.UNKNOWN, skipped(3)),
}
"""X and x have one cause."""


def seen(row: str) -> dict[str, Verdict]:
    """What is known of rank 0, step by step; a minus is nothing."""
    return {f"sigkill-step{step:04d}-rank0": LOOKS[look] for step, look in enumerate(row) if look != "-"}


def chain_of_steps(*numbers: int) -> Scenario:
    placed = [(number, MADE.scenario(f"sigkill-step{number:04d}-rank0")) for number in numbers]
    return chain_of(placed, Restarts(nproc_per_node=2), number=1)


def steps(names: set[str]) -> set[int]:
    return {int(name.split("-")[1].removeprefix("step")) for name in names}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("X--x---X----", {1, 2, 4, 5, 6}),
        ("--X--X--X---", {3, 4, 6, 7}),
        ("X--.--X--X--", {7, 8}),
        ("X--?--X--X--", {7, 8}),
        ("?--?--?-----", {1, 2, 4, 5}),
        (".--.--.--.--", set()),
        ("X-----------", set()),
        ("X-----x-----", set()),
    ],
)
def test_what_lies_between_two_failures_with_one_cause_that_many_have_is_known(row: str, expected: set[int]) -> None:
    """Nothing of another rank is, and nothing beyond the first and the last; two failures are not many."""
    assert expected == steps(Alike(MADE.points, seen(row), num_many=3).between())


def test_ranks_have_failures_of_their_own() -> None:
    """What one rank does at two moments says nothing of the other between them."""
    verdicts = {
        name.replace("rank0", f"rank{number % 2}"): found for number, (name, found) in enumerate(seen("XXXX").items())
    }
    assert {1, 2} == steps(Alike(MADE.points, verdicts, num_many=3).between())


def test_who_wants_each_point_gets_it() -> None:
    """However many failures are alike."""
    alike = Alike(MADE.points, seen("X-X-X-X-X-X-"), num_many=float("inf"))
    assert (set(), False) == (alike.between(), alike.is_any)


def test_what_is_entered_later_counts() -> None:
    """The verdicts are the sweep's own."""
    verdicts = seen("X----------X")
    alike = Alike(MADE.points, verdicts, num_many=3)
    before = alike.is_any
    verdicts |= seen("-----X------")
    assert (before, alike.is_any, len(alike.between())) == (False, True, 9)


def test_a_chain_whose_points_come_to_stand_between_failures_is_not_begun() -> None:
    """It was made before they were there; what lies outside of them is run."""
    verdicts = seen("--------X--X")
    alike = Alike(MADE.points, verdicts, num_many=3)
    chains = [chain_of_steps(0, 2), chain_of_steps(2, 4)]
    before = [alike.are_news(chain) for chain in chains]
    verdicts |= seen("---X--------")
    assert (before, [alike.are_news(chain) for chain in chains]) == ([True, True], [True, False])
