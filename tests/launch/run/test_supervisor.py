"""What a supervisor asks of its nodes; these do nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable.launch.evidence.node_records import NodeEnded
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.node.protocol import NodeRequest
from resumable.launch.plan.topology import Topology
from resumable.launch.run.supervisor import Supervisor
from tests.launch.plans import plan_of


class Node:
    """A node on which every job fails at once."""

    number = 0

    def __init__(self) -> None:
        self.requests: list[NodeRequest] = []
        self.signals: list[int] = []
        self._always_readable = os.eventfd(1)

    def fileno(self) -> int:
        return self._always_readable

    def request(self, request: NodeRequest) -> None:
        self.requests.append(request)

    def answer(self) -> NodeEnded:
        return NodeEnded(node=0, outcome="failed", time_ns=0)

    def interrupt(self, signum: int) -> None:
        self.signals.append(signum)

    def heal(self) -> None:
        pass

    def close(self) -> None:
        os.close(self._always_readable)


class Cluster:
    """One node."""

    endpoint = "127.0.0.1:1"

    def __init__(self, topology: Topology, node: Node) -> None:
        self.topology = topology
        self.nodes = (node,)


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.close()


def supervisor_of(node: Node, folder: Path, *words: str) -> Supervisor:
    plan = plan_of(*words)
    run_dir = RunDir(root=folder)
    run_dir.write_plan(plan)
    return Supervisor(plan, run_dir, Cluster(plan.topology, node))  # type: ignore[arg-type]


def test_every_run_of_a_job_has_a_name_of_its_own(node: Node, tmp_path: Path) -> None:
    """Otherwise the nodes of one would meet at what is left of another; it names folders, so there is no slash in it."""
    supervisor = supervisor_of(node, tmp_path, "verify")
    for scenario in plan_of("verify").scenarios:
        supervisor.run(scenario)
    names = [request.run_id for request in node.requests]
    assert (len(set(names)), "/" in "".join(names)) == (3, False)


def test_every_start_of_a_job_has_a_name_of_its_own(node: Node, tmp_path: Path) -> None:
    """The first has the one that the job was given; all count the same incarnations."""
    words = ("run", "--rdzv-id", "job", "--restart", "job", "--max-restarts", "2", "-m", "timeit")
    supervisor_of(node, tmp_path, *words).run(plan_of(*words).scenarios[0])
    assert [request.run_id for request in node.requests] == ["job", "job-1", "job-2"]
    assert {request.incarnation_counter for request in node.requests} == {"job"}


def test_nodes_get_the_signal_that_ends_a_job(node: Node, tmp_path: Path) -> None:
    """SIGTERM where nobody sent one."""
    supervisor = supervisor_of(node, tmp_path, "run", "-m", "timeit")
    supervisor.interrupt(signal.SIGHUP)
    supervisor.interrupt()
    assert node.signals == [signal.SIGHUP, signal.SIGTERM]


@pytest.mark.parametrize(
    ("words", "grace_s"),
    [((), 30), (("--shutdown-timeout", "90"), 90), (("--grace", "5", "--shutdown-timeout", "9"), 5)],
)
def test_nodes_may_take_as_long_as_their_ranks_may(
    node: Node, tmp_path: Path, words: tuple[str, ...], grace_s: float
) -> None:
    """Whoever has two minutes for a last checkpoint is not ended after one."""
    assert supervisor_of(node, tmp_path, "run", *words, "-m", "timeit")._ranks_grace_s() == grace_s
