"""What is done to nodes, and when: a cluster of paper and a clock that is set by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from resumable.launch.errors import NodeError
from resumable.launch.evidence.node_records import NodeEnded, NodeFaultActed, decode_node_line
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import resolve
from resumable.launch.plan.plan import RestartMethod, Scenario
from resumable.launch.run import node_faults as module
from resumable.launch.run.node_faults import NodeFaults


class Clock:
    """Stands where the module `time` stands."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def monotonic_ns(self) -> int:
        return int(self.now_s * 1e9)


class PaperNode:
    """Writes down what it is asked for."""

    def __init__(self, number: int, asked: list[str]) -> None:
        self.number = number
        self._asked = asked

    def __getattr__(self, name: str) -> object:
        return lambda: self._asked.append(f"{name} {self.number}")


class PaperCluster:
    """Two nodes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.nodes = [PaperNode(number, self.asked) for number in (0, 1)]

    def node(self, number: int) -> PaperNode:
        found = [node for node in self.nodes if node.number == number]
        if not found:
            raise NodeError(f"node {number} is lost")
        return found[0]

    def replace(self, number: int) -> PaperNode:
        self.asked.append(f"replace {number}")
        return PaperNode(number, self.asked)


class Stage:
    """Node faults of a scenario, what they ask of whom, and what they note."""

    def __init__(self, root: Path, clock: Clock, *faults: str, restart: RestartMethod = "agent") -> None:
        self.scenario_dir = ScenarioDir(root=root)
        self.scenario_dir.create()
        self.clock = clock
        self.cluster = PaperCluster()
        self.scenario = Scenario(
            name="faulted",
            faults=resolve([parse_fault(fault) for fault in faults], world_size=2, num_nodes=2, seed=0),
            restart=restart,
            nproc_per_start=(1,),
        )
        self.node_faults = self.another()

    def another(self) -> NodeFaults:
        """That of the job's next start."""
        return NodeFaults(self.scenario, self.scenario_dir, self.cluster, lambda node: node.request())  # type: ignore[call-arg]  # a node of paper

    def fire(self, fault: int, *, node: int) -> None:
        """A rank of this node has come to the fault's moment."""
        (self.scenario_dir.fired / str(fault)).write_text(str(node))

    def asked_at(self, now_s: float) -> list[str]:
        """What they ask for at this time."""
        self.clock.now_s = now_s
        self.cluster.asked.clear()
        self.node_faults.act()
        return list(self.cluster.asked)

    def notes(self) -> list[tuple[int, str, int]]:
        lines = self.scenario_dir.supervisor_file.read_bytes().splitlines(keepends=True)
        noted = [line for line in map(decode_node_line, lines) if isinstance(line, NodeFaultActed)]
        return [(note.node, note.act, note.time_ns // 1_000_000_000) for note in noted]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def ended(node: int, outcome: str = "interrupted") -> NodeEnded:
    return NodeEnded(node=node, outcome=outcome, time_ns=0)


def test_nothing_is_done_before_a_rank_has_come_to_the_moment(tmp_path: Path, clock: Clock) -> None:
    """And then once, with a mark that lets the rank go on."""
    stage = Stage(tmp_path, clock, "nodeloss@step=7:node=1")
    assert stage.asked_at(1) == []
    stage.fire(0, node=1)
    assert not stage.scenario_dir.done_mark(0).exists()
    assert stage.asked_at(2) == ["lose 1"]
    assert stage.scenario_dir.done_mark(0).exists()
    assert (stage.asked_at(3), stage.notes(), stage.node_faults.is_idle) == ([], [(1, "lost", 2)], True)


def test_a_fault_of_a_rank_is_not_its_business(tmp_path: Path, clock: Clock) -> None:
    """Ranks do those to themselves."""
    stage = Stage(tmp_path, clock, "sigkill@step=7:rank=1")
    stage.fire(0, node=1)
    assert stage.asked_at(1) == []


def test_a_lost_node_is_replaced_when_its_time_has_come(tmp_path: Path, clock: Clock) -> None:
    """The new one gets the request of the current start."""
    stage = Stage(tmp_path, clock, "nodeloss(replace=5)@step=7:node=1")
    stage.fire(0, node=1)
    assert stage.asked_at(10) == ["lose 1"]
    assert (stage.asked_at(14.9), stage.node_faults.is_idle) == ([], False)
    assert (stage.asked_at(15), stage.node_faults.is_idle) == (["replace 1", "request 1"], True)
    assert stage.notes() == [(1, "lost", 10), (1, "replaced", 15)]


def test_a_node_is_cut_off_for_a_while(tmp_path: Path, clock: Clock) -> None:
    """And healed."""
    stage = Stage(tmp_path, clock, "partition(for=3)@step=7:node=0")
    stage.fire(0, node=0)
    assert [stage.asked_at(10), stage.asked_at(12), stage.asked_at(13)] == [["cut 0"], [], ["heal 0"]]
    assert stage.notes() == [(0, "cut", 10), (0, "healed", 13)]


def test_nothing_stays_cut_off_when_the_job_is_over(tmp_path: Path, clock: Clock) -> None:
    """What was still to come is left out."""
    stage = Stage(tmp_path, clock, "partition(for=3)@step=7:node=0")
    stage.fire(0, node=0)
    stage.asked_at(10)
    stage.node_faults.finish()
    assert stage.cluster.asked == ["cut 0", "heal 0", "heal 1"]


def test_a_preempted_node_that_goes_is_replaced_and_its_farewell_is_no_end(tmp_path: Path, clock: Clock) -> None:
    """Within the grace, so that nobody kills it."""
    stage = Stage(tmp_path, clock, "preempt(grace=20)@step=7:node=1")
    stage.fire(0, node=1)
    assert stage.asked_at(10) == ["interrupt 1"]
    assert stage.node_faults.takes(ended(1))
    assert stage.cluster.asked == ["interrupt 1", "replace 1", "request 1"]
    assert stage.asked_at(31) == []
    assert not stage.node_faults.takes(ended(1, "succeeded"))


def test_a_preempted_node_that_stays_is_killed_after_the_grace(tmp_path: Path, clock: Clock) -> None:
    """And replaced then."""
    stage = Stage(tmp_path, clock, "preempt(grace=20)@step=7:node=1")
    stage.fire(0, node=1)
    stage.asked_at(10)
    assert stage.asked_at(29.9) == []
    assert stage.asked_at(30) == ["lose 1", "replace 1", "request 1"]
    assert stage.notes() == [(1, "interrupted", 10), (1, "lost", 30), (1, "replaced", 30)]


def test_another_nodes_end_is_an_end(tmp_path: Path, clock: Clock) -> None:
    """Only the preempted one's is expected."""
    stage = Stage(tmp_path, clock, "preempt(grace=20)@step=7:node=1")
    stage.fire(0, node=1)
    stage.asked_at(10)
    assert not stage.node_faults.takes(ended(0, "failed"))


def test_a_job_that_is_started_anew_brings_its_own_nodes(tmp_path: Path, clock: Clock) -> None:
    """The preempted node's farewell is an end like any other; a later start does not preempt again."""
    stage = Stage(tmp_path, clock, "preempt(grace=20)@step=7:node=0", restart="job")
    stage.fire(0, node=0)
    assert stage.asked_at(10) == ["interrupt 0"]
    assert not stage.node_faults.takes(ended(0))
    assert (stage.asked_at(31), stage.notes()) == ([], [(0, "interrupted", 10)])
    stage.node_faults = stage.another()
    assert stage.asked_at(40) == []


def test_a_preempted_node_that_stays_is_not_replaced_where_the_job_is_started_anew(
    tmp_path: Path, clock: Clock
) -> None:
    """The next start has all its nodes."""
    stage = Stage(tmp_path, clock, "preempt(grace=20)@step=7:node=0", restart="job")
    stage.fire(0, node=0)
    stage.asked_at(10)
    assert stage.asked_at(30) == ["lose 0"]


def test_a_fault_that_comes_for_a_node_that_is_gone_is_done_with(tmp_path: Path, clock: Clock) -> None:
    """Another one took it a moment ago: there is nothing to note, and nobody waits for it."""
    stage = Stage(tmp_path, clock, "nodeloss@step=7:node=1")
    stage.cluster.nodes.pop()
    stage.fire(0, node=1)
    assert stage.asked_at(1) == []
    assert stage.scenario_dir.done_mark(0).exists()
    assert not stage.scenario_dir.supervisor_file.exists()


def test_what_is_due_is_done_in_the_order_in_which_it_is_due(tmp_path: Path, clock: Clock) -> None:
    """Not in that of the faults."""
    stage = Stage(tmp_path, clock, "partition(for=9)@step=7:node=0", "nodeloss(replace=2)@step=7:node=1")
    stage.fire(0, node=0)
    stage.fire(1, node=1)
    assert stage.asked_at(10) == ["cut 0", "lose 1"]
    assert stage.asked_at(30) == ["replace 1", "request 1", "heal 0"]
