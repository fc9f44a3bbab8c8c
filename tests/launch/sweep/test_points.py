from __future__ import annotations

import msgspec
import pytest

from resumable.launch.errors import UsageError
from resumable.launch.plan.plan import Restarts
from resumable.launch.sweep.points import with_points, without_points
from tests.launch.sweep.sweeps import LENGTH, drawn, faults, plan, spec


def test_every_step_of_every_rank_is_a_point() -> None:
    """The first and the last step are."""
    expected = {f"sigkill@step={step}:rank={rank}" for step in range(12) for rank in (0, 1)}
    assert expected == faults(drawn())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"at": "every:5", "ranks": "1"}, {f"sigkill@step={step}:rank=1" for step in (0, 5, 10)}),
        ({"at": "3", "ranks": "all"}, {"sigkill@step=3:rank=0 sigkill@step=3:rank=1"}),
        ({"at": "3", "ranks": "1,0+1"}, {"sigkill@step=3:rank=1", "sigkill@step=3:rank=0 sigkill@step=3:rank=1"}),
        ({"at": "3", "ranks": "0", "kinds": "exit(3),exception"}, {"exit(3)@step=3:rank=0", "exception@step=3:rank=0"}),
        ({"at": "save#1+during"}, {"sigkill@save#1+during:rank=0"}),
        ({"at": "save#1", "ranks": "all"}, {"sigkill@save#1+after:rank=0"}),
        ({"at": "every:4", "kinds": "torn"}, {f"torn(keep=0.5)@step={step}:rank=0" for step in (4, 8)}),
        ({"at": "resume+2", "ranks": "1"}, {"sigkill@step=6:rank=1 sigkill@resume+2:rank=1"}),
        ({"at": "3", "ranks": "1", "kinds": "preempt(grace=5)"}, {"preempt(grace=5)@step=3:rank=1"}),
    ],
)
def test_points_follow_the_request(words: dict[str, str], expected: set[str]) -> None:
    """Only ranks that come to the moment are hit; what comes after a restart gets one first."""
    assert expected == faults(drawn(**words))


def test_any_is_one_drawn_rank_for_every_step() -> None:
    """The seed decides; another one decides differently."""
    draws = {seed: faults(drawn(ranks="any", seed=seed)) for seed in (0, 1)}
    assert [len(points) for points in draws.values()] == [12, 12]
    assert draws[0] != draws[1]
    assert draws[0] == faults(drawn(ranks="any", seed=0))


@pytest.mark.parametrize(
    ("at", "ranks"), [("12", "each"), ("0,50", "any"), ("save#3", "all"), ("epoch=3,batch=0", "0"), ("0,save#1", "1")]
)
def test_a_listed_moment_that_never_comes_is_refused(at: str, ranks: str) -> None:
    """The message says what training has."""
    with pytest.raises(
        UsageError, match=r"none of the ranks reaches .*; training has 12 steps, and the ranks save 3, 0 times"
    ):
        drawn(at=at, ranks=ranks)


def test_a_kind_is_left_out_where_it_alone_cannot_happen() -> None:
    """At a step at which there is no checkpoint yet a rank can be killed all the same."""
    names = [point.name for point in drawn(at="0,11", ranks="0", kinds="sigkill,torn").points]
    assert sorted(names) == ["sigkill-step0000-rank0", "sigkill-step0011-rank0", "torn-step0011-rank0"]
    with pytest.raises(UsageError, match="no checkpoint to damage at step=0; training has 12 steps"):
        drawn(at="0,11", ranks="0", kinds="torn")


def test_a_sample_is_drawn_from_the_seed() -> None:
    """As many as asked for, others with another seed, and the plan keeps how many there were."""
    first, second = drawn(sample=5, seed=1), drawn(sample=5, seed=2)
    assert (len(first.points), first.sweep.num_points) == (5, 24)
    assert faults(first) == faults(drawn(sample=5, seed=1)) != faults(second)
    assert faults(first) < faults(drawn())


def test_a_sample_larger_than_the_sweep_is_all_of_it() -> None:
    """Nobody has to know how many points there are."""
    assert faults(drawn()) == faults(drawn(sample=1000))


def test_names_are_folders_that_sort_and_differ() -> None:
    """A name says kind, moment and rank."""
    made = drawn(at="3,save#1+during,epoch=1,batch=2", kinds="sigkill,exit(3),sigterm,sigterm(grace=1)")
    names = [point.name for point in made.points]
    assert {"sigkill-step0003-rank0", "exit3-save0001during-rank0", "sigtermgrace1-epoch0001batch0002-rank1"} <= set(
        names
    )
    assert len(names) == len(set(names))


def test_a_point_restarts_as_the_sweep_was_asked_to() -> None:
    """Ranks after the restart, and no more restarts than the faults need."""
    made = plan(msgspec.structs.replace(spec(at="resume+1"), restarts=Restarts(method="job", nproc_per_node=3)))
    [point, _] = with_points(made, LENGTH).points
    assert (point.restart, point.max_restarts, point.nproc_per_start) == ("job", 2, (2, 3, 3))


def test_a_plan_without_its_points_is_the_plan_before_they_were_drawn() -> None:
    """So that the same arguments are known again."""
    before = plan(spec(sample=3))
    assert before == without_points(with_points(before, LENGTH))


def test_the_cold_start_of_a_point_is_in_the_plan_though_no_point() -> None:
    """A node finds it by its name; nobody counts it."""
    made = drawn(at="3", ranks="1")
    assert ("subprocess", made.points[0].faults) == (
        made.scenario("sigkill-step0003-rank1-plain").start_method,
        made.scenario("sigkill-step0003-rank1-plain").faults,
    )
    assert len(made.points) == 1
