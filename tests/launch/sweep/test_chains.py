from __future__ import annotations

from functools import reduce
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.explain.outcome import Outcome
from resumable.launch.plan.plan import Beginning, Plan, Restarts, Scenario, Tail
from resumable.launch.sweep.chains import (
    LONG_TAIL_EVERY,
    TAIL_STEPS,
    can_be_chained,
    chains_of,
    is_chainable,
    repetitions_of,
    without_link,
)
from resumable.launch.sweep.points import with_points
from resumable.launch.sweep.review import failed_in_chain
from resumable.launch.sweep.training_length import RankLength, TrainingLength
from tests.launch.sweep.sweeps import LENGTH, drawn, plan, spec, verdict

RESTARTS = Restarts(nproc_per_node=2)


def length_of(num_steps: int, *, epoch_length: int) -> TrainingLength:
    batches = {divmod(step, epoch_length): step for step in range(num_steps)}
    own = RankLength(num_steps=num_steps, batches=batches, saves=(1,))
    return TrainingLength(ranks={0: own, 1: own})


def chained(
    points: tuple[Scenario, ...], length: TrainingLength = LENGTH, *, tail: Tail = "steps", max_links: int = 100
) -> list[Scenario]:
    return chains_of(points, length, RESTARTS, tail=tail, max_links=max_links, first_number=1)


def places(chain: Scenario) -> list[int]:
    """Steps done at each fault; all of them are kills after a step."""
    return [fault.when.numbers[0] + 1 for fault in chain.faults]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"at": "3", "ranks": "1"}, True),
        ({"at": "epoch=1,batch=2", "ranks": "1"}, True),
        ({"at": "3", "kinds": "exit(3)"}, True),
        ({"at": "3", "kinds": "hang"}, True),
        ({"at": "3", "ranks": "all"}, True),
        ({"at": "5", "kinds": "torn"}, False),
        ({"at": "5", "kinds": "corrupt"}, False),
        ({"at": "3", "kinds": "preempt(grace=5)"}, False),
        ({"at": "3", "kinds": "sigterm"}, False),
        ({"at": "save#1"}, False),
        ({"at": "resume+1"}, False),
    ],
)
def test_only_faults_that_leave_nothing_but_a_job_to_start_again_are_chained(
    words: dict[str, str], expected: bool
) -> None:
    """A damaged checkpoint would be found by the next point too, and saves are counted again after a restart."""
    assert expected == is_chainable(drawn(**words).points[0], LENGTH)


@given(num_steps=st.integers(2, 60), epoch_length=st.integers(1, 20), max_links=st.integers(1, 50))
def test_each_point_is_hit_once_and_followed_beyond_its_fault(
    num_steps: int, epoch_length: int, max_links: int
) -> None:
    """Faults of a chain are numbered in their order, and the plan says how far each is followed."""
    length = length_of(num_steps, epoch_length=epoch_length)
    made = with_points(plan(spec()), length)
    chains = chained(made.points, length, max_links=max_links)
    hit = [link.point for chain in chains for link in chain.links]
    assert (len(hit), set(hit) - {point.name for point in made.points}) == (len(set(hit)), set())
    assert [chain.name for chain in chains if not 1 < len(chain.links) <= max_links] == []
    assert [chain.name for chain in chains] == [f"chain-{number:04d}" for number in range(1, 1 + len(chains))]
    assert [list(range(len(chain.faults))) for chain in chains] == [[f.number for f in c.faults] for c in chains]
    assert [[*places(chain)[1:], None] for chain in chains] == [[link.until for link in c.links] for c in chains]
    assert all(second - first >= TAIL_STEPS for chain in chains for first, second in pairwise(places(chain)))
    assert [chain.max_restarts for chain in chains] == [len(chain.links) for chain in chains]


def test_every_eighth_point_is_followed_into_the_epoch_after_next() -> None:
    """Where there is one: the last of a chain goes on to the end of the job anyway."""
    length = length_of(200, epoch_length=20)
    _, chain, *_ = chained(with_points(plan(spec(ranks="0")), length).points, length)
    tails = [until - place for place, until in zip(places(chain), places(chain)[1:], strict=False)]
    longer = [number for number, tail in enumerate(tails, start=1) if tail > TAIL_STEPS]
    assert set(range(LONG_TAIL_EVERY, len(tails) + 1, LONG_TAIL_EVERY)) <= set(longer)
    first = places(chain)[LONG_TAIL_EVERY - 1]
    assert places(chain)[LONG_TAIL_EVERY] >= (first // 20 + 2) * 20 + TAIL_STEPS


def tails(chains: list[Scenario]) -> dict[str, float]:
    """Steps for which each point is followed; infinite: to the end of the job."""
    followed = [
        (link.point, (link.until or float("inf")) - place)
        for chain in chains
        for place, link in zip(places(chain), chain.links, strict=True)
    ]
    return dict(followed)


@pytest.mark.parametrize("ranks", ["each", "0"])
def test_where_most_mistakes_live_a_point_is_followed_into_the_epoch_after_next(ranks: str) -> None:
    """After a fault at the border, and in the middle of the second epoch twice; whichever rank it befalls."""
    length = length_of(200, epoch_length=20)
    own = tails(chained(with_points(plan(spec(ranks=ranks)), length).points, length))
    rank = "rank1" if ranks == "each" else "rank0"
    assert [
        own[f"sigkill-step{place - 1:04d}-{rank}"] >= end - place for place, end in ((20, 60), (30, 60), (34, 60))
    ] == [True] * 3


def test_each_point_may_be_followed_so_far() -> None:
    """Where there is no epoch after next, into the next; within the last epoch nothing begins any more."""
    length = length_of(100, epoch_length=20)
    own = tails(chained(with_points(plan(spec(ranks="0", at="every:3")), length).points, length, tail="epoch"))
    ends = {place: ([place, *range(place // 20 * 20 + 20, 100, 20)[:2]][-1]) + TAIL_STEPS for place in range(1, 101, 3)}
    found = {
        place: own[f"sigkill-step{place - 1:04d}-rank0"]
        for place in ends
        if f"sigkill-step{place - 1:04d}-rank0" in own
    }
    assert len(found) > len(ends) // 2
    assert [place for place, tail in found.items() if tail < ends[place] - place] == []


def test_the_first_chain_goes_through_the_points_that_tell_most() -> None:
    """One rank at each: the border, the middle of the second epoch, later again, the end."""
    length = length_of(40, epoch_length=20)
    assert places(chained(with_points(plan(spec()), length).points, length)[0]) == [1, 20, 30, 34, 39]


def test_ranks_that_are_hit_together_are_one_link() -> None:
    """Their faults have one moment, and cost one restart."""
    _, chain, *_ = chained(drawn(ranks="all").points)
    assert ([2] * len(chain.links), len(chain.links)) == ([link.num_faults for link in chain.links], chain.max_restarts)


@pytest.mark.parametrize(
    ("changes", "repeats", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"is_chained": False}, True, False),
        ({"restarts": Restarts(method="job", nproc_per_node=1)}, True, False),
        ({"restarts": Restarts(max_restarts=0, nproc_per_node=2)}, True, False),
    ],
)
def test_a_job_is_chained_if_a_restart_leaves_no_trace_in_it(
    changes: dict[str, object], repeats: bool, expected: bool
) -> None:
    """Of numbers that do not repeat nobody can say whether they are right; more or fewer ranks stay so."""
    asked = msgspec.structs.replace(spec(is_chained=True), **changes)
    assert expected == can_be_chained(plan(asked), LENGTH, repeats=repeats)


def test_a_job_that_saves_nothing_is_not_chained() -> None:
    """Each life would do everything again."""
    ranks = {rank: msgspec.structs.replace(own, saves=()) for rank, own in LENGTH.ranks.items()}
    made: Plan = plan(spec(is_chained=True))
    assert not can_be_chained(made, TrainingLength(ranks=ranks), repeats=True)


def test_a_failure_is_repeated_behind_the_fault_before_it_and_then_behind_all() -> None:
    """Only the last link decides a point, and the job goes on to its end behind it."""
    length = length_of(40, epoch_length=20)
    _, chain, *_ = chained(with_points(plan(spec(ranks="0")), length).points, length)
    pair, whole = repetitions_of(chain, 3, RESTARTS, first_number=7)
    assert tuple((c.name, c.max_restarts) for c in (pair, whole)) == (("chain-0007", 2), ("chain-0008", 4))
    assert (places(chain)[2:4], places(chain)[:4]) == (places(pair), places(whole))
    assert ["", "", "", chain.links[3].point] == [link.point for link in whole.links]
    assert ([fault.number for fault in pair.faults], pair.links[-1].until) == ([0, 1], None)


@pytest.mark.parametrize(("number", "expected"), [(0, 0), (1, 1), (2, 2)])
def test_what_came_first_has_nothing_to_be_repeated_behind(number: int, expected: int) -> None:
    """And behind a single fault once is enough."""
    length = length_of(40, epoch_length=20)
    [chain, *_] = chained(with_points(plan(spec(ranks="0")), length).points, length)
    assert expected == len(repetitions_of(chain, number, RESTARTS, first_number=1))


@pytest.mark.parametrize(("lost", "left", "begin"), [((2,), {2, 4}, 2), ((2, 3), {2, 4, 5}, 3)])
def test_a_chain_that_lost_a_link_goes_on_from_the_life_before(
    lost: tuple[int, ...], left: set[int], begin: int
) -> None:
    """In the same folder, with the links before it as its own, and without points that nobody wants any more."""
    length = length_of(40, epoch_length=20)
    _, chain, *_ = chained(with_points(plan(spec(ranks="0")), length).points, length)
    unwanted = {chain.links[4].point}
    own = reduce(lambda broken, number: _without_link(broken, number, unwanted), lost, chain)
    wanted = [number for number in range(len(chain.links)) if number not in left]
    assert [chain.links[number].point for number in wanted] == [link.point for link in own.links]
    assert [places(chain)[number] for number in wanted] == places(own)
    assert [*places(own)[1:], None] == [link.until for link in own.links]
    assert list(range(len(own.links))) == [fault.number for fault in own.faults]
    assert (own.max_restarts, own.begins) == (len(wanted), Beginning(works_in=chain.name, incarnation=begin))


def _without_link(chain: Scenario, number: int, unwanted: set[str]) -> Scenario:
    made = without_link(chain, number, name="chain-0009", unwanted=unwanted)
    assert made is not None
    return made


@pytest.mark.parametrize("number", [0, -1])
def test_a_chain_begins_from_scratch_where_no_life_was_good_and_is_over_where_nothing_follows(number: int) -> None:
    """The first link, and the last one."""
    _, chain, *_ = chained(with_points(plan(spec(ranks="0")), LENGTH).points)
    assert without_link(chain, number % len(chain.links), name="chain-0009") is None


@pytest.mark.parametrize(
    ("named", "expected"), [("chain-0001", True), ("chain-0002", False), ("point-0001", False), ("", False)]
)
def test_a_stored_verdict_may_name_a_chain_that_there_is_not(named: str, expected: bool) -> None:
    """It is one of a point by itself then, whoever wrote it."""
    made = drawn(at="0,11", ranks="0")
    made = msgspec.structs.replace(made, scenarios=(*made.scenarios, *chained(made.points)))
    failed = msgspec.structs.replace(verdict(Outcome.INVALID), chain=named)
    assert {failed_in_chain(point.name, failed, made) for point in made.points} == {expected}
