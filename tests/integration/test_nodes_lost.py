"""Whole nodes of the built-in job are taken away and come back; every batch is compared with the uninterrupted run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launch.arguments import parse
from launch.cluster import LocalCluster
from launch.planner import make_plan
from launch.rundir import RunDir
from launch.supervisor import Supervisor
from launch.topology import Topology
from launch.verdict import Verdict, judge

FAULTS = {
    "the node with rank 0, replaced": ("3", ("nodeloss(replace=0)@step=7:rank=0",)),
    "a node that comes back slowly": ("3", ("nodeloss(replace=3)@step=7:node=1",)),
    "two nodes at once, replaced": ("3", ("nodeloss(replace=0)@step=7:node=0", "nodeloss(replace=0)@step=7:node=1")),
    "a node that is preempted, in place of which one comes": ("3", ("preempt(grace=5)@step=7:node=1",)),
    "one node for good, the others go on": ("2:3", ("nodeloss@step=7:rank=0",)),
    "two nodes for good, one goes on": ("1:3", ("nodeloss@step=7:node=0", "nodeloss@step=7:node=1")),
}

VerifyNodes = Callable[..., Verdict]


@pytest.fixture(scope="module")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Nodes that stay warm from one test to the next."""
    plan = make_plan(parse(["verify", "--nnodes", "3"]))
    logs = tmp_path_factory.mktemp("nodes")
    with LocalCluster(Topology.of(plan), nproc_per_node=1, preload=plan.preload, log_dir=logs) as cluster:
        yield cluster


@pytest.fixture
def verify_nodes(tmp_path: Path, three_nodes: LocalCluster) -> VerifyNodes:
    """`resumable verify` of the built-in job on three nodes of one rank."""

    def run(nnodes: str, *faults: str) -> Verdict:
        words = [word for fault in faults for word in ("--fault", fault)]
        job = ("-m", "launch.jobs.digits", "--epochs", "3")
        plan = make_plan(parse(["verify", "--nnodes", nnodes, "--nproc-per-node", "1", *words, *job]))
        run_dir = RunDir(root=tmp_path / "run")
        run_dir.root.mkdir()
        run_dir.write_plan(plan)
        supervisor = Supervisor(plan, run_dir, three_nodes)
        for scenario in plan.scenarios:
            supervisor.run(scenario)
        return judge(plan, run_dir)

    return run


@pytest.mark.parametrize("what", sorted(FAULTS))
def test_a_job_survives_what_happens_to_its_nodes(verify_nodes: VerifyNodes, what: str) -> None:
    """Whoever is left goes on with the right batches, on as many ranks as there are."""
    nnodes, faults = FAULTS[what]
    verdict = verify_nodes(nnodes, *faults)
    assert (verdict.outcome, verdict.reason) == ("valid", "")
