"""The pool alone: clusters and supervisors that only pretend."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from resumable.launch.errors import NodeError
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Scenario
from resumable.launch.sweep import cluster_pool
from resumable.launch.sweep.cluster_pool import ClusterPool, num_jobs_for
from tests.launch.sweep.sweeps import plan, spec

SCENARIOS = [Scenario(name=f"s{number}", nproc_per_start=(1,)) for number in range(7)]


class Rig:
    """Counts clusters, and decides what becomes of a scenario."""

    def __init__(self, behaviour: Callable[[Scenario, Callable[[], None]], None]) -> None:
        self.behaviour = behaviour
        self.opened: Counter[int] = Counter()
        self.num_open = 0
        self.interrupted: list[str] = []

    @contextmanager
    def cluster(self, number: int) -> Iterator[object]:
        self.opened[number] += 1
        self.num_open += 1
        try:
            yield self
        finally:
            self.num_open -= 1


class PretendSupervisor:
    def __init__(self, plan: object, run_dir: object, cluster: Rig) -> None:
        self.rig = cluster
        self.running = ""

    def run(self, scenario: Scenario, *, on_tick: Callable[[], None]) -> None:
        self.running = scenario.name
        self.rig.behaviour(scenario, on_tick)

    def interrupt(self) -> None:
        self.rig.interrupted.append(self.running)


@pytest.fixture
def hire(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., ClusterPool]:
    monkeypatch.setattr(cluster_pool, "Supervisor", PretendSupervisor)

    def make(rig: Rig, *, num_jobs: int = 2, is_warm: bool = True) -> ClusterPool:
        return ClusterPool(plan(spec()), RunDir(root=tmp_path), rig.cluster, num_jobs=num_jobs, is_warm=is_warm)

    return make


def at_once(_scenario: Scenario, _on_tick: Callable[[], None]) -> None:
    pass


def for_ever(_scenario: Scenario, on_tick: Callable[[], None]) -> None:
    while True:
        on_tick()
        time.sleep(0.001)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("num_jobs", [1, 2, 9])
def test_every_scenario_is_run_once_on_clusters_that_stay_warm(hire: Callable[..., ClusterPool], num_jobs: int) -> None:
    """As many clusters as jobs, at most, and none is left open."""
    rig = Rig(at_once)
    with hire(rig, num_jobs=num_jobs) as pool:
        event = [item for item in pool.run(SCENARIOS) if item is not None]
    assert Counter(item.scenario.name for item in event if item.state == "ended") == Counter(s.name for s in SCENARIOS)
    assert (set(rig.opened.values()), rig.num_open) == ({1}, 0)


@pytest.mark.timeout(20)
def test_without_warm_clusters_every_scenario_has_one_of_its_own(hire: Callable[..., ClusterPool]) -> None:
    """No more clusters than scenarios."""
    rig = Rig(at_once)
    with hire(rig, is_warm=False) as pool:
        assert 2 * len(SCENARIOS) == len([item for item in pool.run(SCENARIOS) if item is not None])
    assert len(SCENARIOS) == rig.opened.total()


@pytest.mark.timeout(20)
def test_several_batches_of_scenarios_share_the_clusters(hire: Callable[..., ClusterPool]) -> None:
    """References first, then points."""
    rig = Rig(at_once)
    with hire(rig, num_jobs=1) as pool:
        assert len([item for item in pool.run(SCENARIOS[:1]) if item is not None]) == 2
        assert len([item for item in pool.run(SCENARIOS[1:]) if item is not None]) == 12
    assert rig.opened == {0: 1}


@pytest.mark.timeout(20)
def test_nothing_is_begun_after_the_time_is_over(hire: Callable[..., ClusterPool]) -> None:
    """What runs then is run to its end."""
    with hire(Rig(at_once)) as pool:
        assert list(pool.run(SCENARIOS, is_enough=lambda: True)) == []


@pytest.mark.timeout(20)
def test_an_interruption_ends_what_runs_in_order(hire: Callable[..., ClusterPool]) -> None:
    """Each supervisor is told once, each cluster is closed, and the exception goes on its way."""
    rig = Rig(for_ever)
    with pytest.raises(KeyboardInterrupt):
        interrupt_once_begun(hire(rig), num_begun=2)
    assert (sorted(rig.interrupted), rig.num_open) == (["s0", "s1"], 0)


def interrupt_once_begun(pool: ClusterPool, *, num_begun: int) -> None:
    """What Ctrl-C does to the caller."""
    with pool:
        event = (item for item in pool.run(SCENARIOS) if item is not None)
        list(islice(event, num_begun))
        raise KeyboardInterrupt


@pytest.mark.timeout(20)
def test_a_cluster_that_dies_is_replaced(hire: Callable[..., ClusterPool]) -> None:
    """Its scenario has ended, and the next one gets a new cluster."""

    def die_at_three(scenario: Scenario, _on_tick: Callable[[], None]) -> None:
        if scenario.name == "s3":
            raise NodeError("gone")

    rig = Rig(die_at_three)
    with hire(rig, num_jobs=1) as pool:
        ended = [item.scenario for item in pool.run(SCENARIOS) if item and item.state == "ended"]
    assert (ended, rig.opened) == (SCENARIOS, {0: 2})


@pytest.mark.timeout(20)
def test_clusters_that_die_again_and_again_end_the_sweep(hire: Callable[..., ClusterPool]) -> None:
    """That is not the job's doing."""

    def die(_scenario: Scenario, _on_tick: Callable[[], None]) -> None:
        raise NodeError("gone")

    with pytest.raises(NodeError, match="3 clusters in a row"), hire(Rig(die), num_jobs=1) as pool:
        list(pool.run(SCENARIOS))


@pytest.mark.timeout(20)
def test_whatever_breaks_a_thread_reaches_the_caller(hire: Callable[..., ClusterPool]) -> None:
    """A thread that ends in silence would leave the caller waiting."""

    def break_down(_scenario: Scenario, _on_tick: Callable[[], None]) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"), hire(Rig(break_down)) as pool:
        list(pool.run(SCENARIOS))


@pytest.mark.parametrize(
    ("num_cores", "num_ranks", "expected"), [(2, 4, 2), (2, 2, 2), (2, 1, 3), (64, 4, 17), (1, 8, 2)]
)
def test_there_is_one_job_more_than_the_cores_have_room_for(num_cores: int, num_ranks: int, expected: int) -> None:
    """While the ranks of one wait for the disk or for each other, another's compute."""
    assert num_jobs_for(num_cores=num_cores, num_ranks=num_ranks) == expected


@pytest.mark.timeout(20)
def test_a_scenario_that_nobody_wants_to_see_the_end_of_is_ended_in_order(hire: Callable[..., ClusterPool]) -> None:
    """It alone: its cluster takes the next one."""

    def last_for_ever(scenario: Scenario, on_tick: Callable[[], None]) -> None:
        (for_ever if scenario.name == "s2" else at_once)(scenario, on_tick)

    rig = Rig(last_for_ever)
    ended: list[str] = []
    with hire(rig, num_jobs=1) as pool:
        for item in filter(None, pool.run(SCENARIOS)):
            ended += [item.scenario.name] if item.state == "ended" else []
            pool.stop(SCENARIOS[2])
    assert ([scenario.name for scenario in SCENARIOS], {0: 1}, ["s2"]) == (ended, rig.opened, rig.interrupted)
