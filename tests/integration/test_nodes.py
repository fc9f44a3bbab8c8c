"""What the supervisor may rely on, of whatever its nodes are made."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable.launch.cluster import Cluster, LocalCluster
from resumable.launch.errors import NodeError
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Plan
from tests.integration.nodes import Job, compose_cluster, plan_of_nodes


def local(plan: Plan, folder: Path) -> LocalCluster:
    return LocalCluster(plan.topology, nproc_per_node=1, log_dir=folder / "nodes")


@pytest.fixture(
    scope="module",
    params=[local, pytest.param(compose_cluster, marks=pytest.mark.containers)],
    ids=["local", "compose"],
)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Path]]:
    """Two nodes that one test after the other uses, and their folder."""
    folder = tmp_path_factory.mktemp("cluster")
    for name in ("runs", "code"):
        (folder / name).mkdir()
    with request.param(plan_of_nodes(folder / "code" / "meet.py", "1:2"), folder) as cluster:
        yield cluster, folder


@pytest.fixture
def job(running: tuple[Cluster, Path]) -> Iterator[Job]:
    """A job that is not started, on warm nodes; those that still run it when the test is over are lost."""
    cluster, folder = running
    lost = {0, 1} - {node.number for node in cluster.nodes}
    for number in lost:
        cluster.replace(number)
    for node in cluster.nodes:
        node.wait_until_warm()
    run_dir = RunDir(root=folder / "runs" / uuid.uuid4().hex)
    job = Job(cluster=cluster, plan=plan_of_nodes(folder / "code" / "meet.py", "1:2"), run_dir=run_dir)
    yield job
    for node in job.busy_nodes:
        node.lose()


def test_nodes_run_a_job_together(job: Job) -> None:
    """They meet, and each says how it ended."""
    job.start()
    assert (job.finish(), job.worlds) == (["succeeded", "succeeded"], [2])


@pytest.mark.parametrize("number", [0, 1])
def test_a_lost_node_is_missed_at_once(job: Job, number: int) -> None:
    """The other one goes on without it, whichever it is."""
    job.start()
    job.cluster.node(number).lose()
    job.wait_for_ranks(1)
    assert (job.finish(), job.worlds) == (["succeeded"], [2, 1])


def test_a_lost_node_is_no_longer_there(job: Job) -> None:
    """Nobody can ask it anything; losing it again does nothing."""
    node = job.cluster.node(0)
    node.lose()
    node.lose()
    assert [node.number for node in job.cluster.nodes] == [1]
    with pytest.raises(NodeError, match="node 0 is lost"):
        job.ask(node)
    with pytest.raises(NodeError, match="node 0 is not there"):
        job.cluster.node(0)


@pytest.mark.parametrize("number", [0, 1])
def test_a_replacement_joins_the_job(job: Job, number: int) -> None:
    """It has the number of the node before it, and is given the same request."""
    job.start()
    job.cluster.node(number).lose()
    job.ask(job.cluster.replace(number))
    job.wait_for_ranks(2)
    assert (job.finish(), job.worlds[0], job.worlds[-1]) == (["succeeded", "succeeded"], 2, 2)


def test_both_nodes_can_be_replaced(job: Job) -> None:
    """The store is on none of them."""
    job.start()
    for number in (0, 1):
        job.cluster.node(number).lose()
    for number in (0, 1):
        job.ask(job.cluster.replace(number))
    job.wait_for_ranks(2)
    assert job.finish() == ["succeeded", "succeeded"]


def test_a_node_that_is_cut_off_is_missed_and_comes_back(job: Job) -> None:
    """The ranks miss it when their own timeout ends; then all meet again."""
    job.start()
    job.wait_until_met()
    node = job.cluster.node(1)
    node.cut()
    job.wait_for_ranks(1)
    node.heal()
    job.wait_for_ranks(2)
    assert (job.finish(), job.worlds[:2]) == (["succeeded", "succeeded"], [2, 1])


def test_healing_a_node_that_is_well_does_nothing(job: Job) -> None:
    """Whoever is not sure may heal."""
    job.start()
    job.cluster.node(0).heal()
    assert (job.finish(), job.worlds) == (["succeeded", "succeeded"], [2])


def test_a_node_that_is_preempted_says_so(job: Job) -> None:
    """It ends its ranks and answers before it is taken away; the other one goes on."""
    job.start()
    node = job.cluster.node(1)
    node.interrupt()
    assert job.outcome_of(node) == "interrupted"
    node.lose()
    job.wait_for_ranks(1)
    assert job.finish() == ["succeeded"]


def test_nodes_serve_one_job_after_the_other(job: Job) -> None:
    """Also after all that was done to them."""
    job.start()
    assert (job.finish(), job.worlds) == (["succeeded", "succeeded"], [2])
