from __future__ import annotations

import pytest

from resumable.launch.evidence.rank_records import Step
from resumable.launch.reading.lockstep import Lockstep
from resumable.launch.reading.parameter_places import ParameterPlaces
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import TrainedStep


def steps(*after: str, before: str | None = None) -> Steps:
    """Steps with these parameters afterwards."""
    records = [
        Step(sequence=0, time_ns=0, step=number, after=one, before=None if number else before)
        for number, one in enumerate(after)
    ]
    return Steps.of(TrainedStep(record=record) for record in records)


UNEVEN = {0: steps(*"abcd", *"efgh"), 1: steps(*"ab", *"ef")}
"""Rank 1 has two batches an epoch, and rank 0 four."""
TURNS = {0: steps(*"abc", *"ef"), 1: steps(*"ab", *"efgh")}
"""In the first epoch rank 0 has more, in the second one rank 1."""


@pytest.mark.parametrize(
    ("ranks", "rank", "num_steps", "expected"),
    [
        pytest.param(UNEVEN, 0, 3, range(3, 4), id="who makes all steps"),
        pytest.param(UNEVEN, 1, 1, range(1, 2), id="who makes the next one too"),
        pytest.param(UNEVEN, 1, 2, range(2, 5), id="who sits out the rest of the epoch"),
        pytest.param(UNEVEN, 1, 4, range(6, 9), id="who sits out the end"),
        pytest.param(UNEVEN, 0, 9, range(9, 10), id="beyond what is known"),
        pytest.param(TURNS, 1, 2, range(2, 4), id="one in the first epoch"),
        pytest.param(TURNS, 0, 5, range(5, 8), id="and the other in the second"),
        pytest.param({0: steps(*"abc"), 1: steps(*"ab")}, 1, 2, range(2, 3), id="one is a step ahead"),
        pytest.param({0: steps(*"abc"), 1: steps(*"uvwxyz")}, 1, 2, range(2, 3), id="shards are never the same"),
        pytest.param({0: steps(*"abcde"), 1: steps(*"cba")}, 1, 2, range(2, 3), id="in no order"),
        pytest.param({0: steps(*"abcuv"), 1: steps(*"abcdxyz")}, 1, 4, range(4, 5), id="each for itself after a while"),
        pytest.param(
            {0: steps(*"abc"), 1: steps(*"uvw"), 2: steps(*"abcd"), 3: steps(*"uvwx")},
            1,
            2,
            range(2, 3),
            id="pairs of replicas of a shard",
        ),
        pytest.param({}, 1, 2, range(2, 3), id="nobody knows"),
    ],
)
def test_what_ranks_have_together_tells_how_their_counts_go_together(ranks, rank, num_steps, expected):
    """Of a rank's own count the common ones, and of each of those its own again."""
    lockstep = Lockstep(ranks)
    assert (expected, {num_steps}) == (
        lockstep.common(rank, num_steps),
        {lockstep.own(rank, common) for common in lockstep.common(rank, num_steps)},
    )


@pytest.mark.parametrize(
    ("parameters", "expected"), [("d", 4), ("c", 3), ("b", 2), ("not seen", 2), (None, 2)], ids=str
)
def test_parameters_tell_how_far_the_others_had_come_meanwhile(parameters, expected):
    """Who sat out the end of an epoch goes on with what the others made of it."""
    assert ParameterPlaces(UNEVEN).common_step(1, 2, lambda: parameters) == expected


def test_parameters_of_any_rank_are_counted_in_common():
    """Those of the last step of an epoch, those that a process began with, and those that came twice."""
    places = ParameterPlaces(UNEVEN)
    places.add(1, 2, steps("e", "a", before="other"))
    assert [places.of("d"), places.of("other"), places.of("a"), places.of("not seen"), places.of(None)] == [
        {4},
        {2},
        {1, 6},
        set(),
        set(),
    ]
