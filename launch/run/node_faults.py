"""Does to nodes what their ranks cannot do to themselves: takes them away, cuts them off, brings them back.

A rank at which the moment of such a fault has come leaves a mark and stands still. `NodeFaults` finds the mark, acts, and
leaves a mark of its own, upon which the rank goes on, if it still can.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import time
from collections.abc import Callable

from resumable.launch.cluster import Cluster, Node
from resumable.launch.errors import NodeError
from resumable.launch.evidence.chained_lines import ChainedFile
from resumable.launch.evidence.node_records import NodeAct, NodeEnded, NodeFaultActed, encode_node_line
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.plan.fault_kinds import NODE_KINDS
from resumable.launch.plan.fault_model import PlannedFault
from resumable.launch.plan.plan import Scenario


class NodeFaults:
    """Performs the node faults of one start of a job.

    Args:
        scenario: Holds the faults.
        scenario_dir: Holds the marks; gets a line for every act.
        cluster: Its nodes are hit.
        ask: Gives a new node the request of the current start.
    """

    def __init__(
        self, scenario: Scenario, scenario_dir: ScenarioDir, cluster: Cluster, ask: Callable[[Node], None]
    ) -> None:
        self._scenario_dir = scenario_dir
        self._cluster = cluster
        self._ask = ask
        self._is_requeued = scenario.restart == "job"
        faults = (fault for fault in scenario.faults if fault.kind in NODE_KINDS)
        self._waiting = [fault for fault in faults if not scenario_dir.done_mark(fault.number).exists()]
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._preempted: dict[int, PlannedFault] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was begun is still to be finished."""
        return not self._agenda

    def act(self) -> None:
        """Do what is due now; to be called often."""
        for fault in list(self._waiting):
            number = self._scenario_dir.fired_on_node(fault.number)
            if number is not None:
                self._waiting.remove(fault)
                with contextlib.suppress(NodeError):  # another fault took the same node a moment ago
                    self._begin(fault, self._cluster.node(number))
                self._scenario_dir.done_mark(fault.number).touch()
        while self._agenda and self._agenda[0][0] <= time.monotonic():
            heapq.heappop(self._agenda)[2]()

    def takes(self, answer: NodeEnded) -> bool:
        """Whether this is the farewell of a node that was preempted, whose place a new one has taken.

        Where the whole job is started again after it ended, it is an end like any other.
        """
        fault = self._preempted.pop(answer.node, None)
        if fault is None or self._is_requeued:
            return False
        self._replace(fault, answer.node)
        return True

    def finish(self) -> None:
        """Nothing may stay cut off when the job is over; what else was to come is left out."""
        for node in self._cluster.nodes:
            node.heal()

    def _begin(self, fault: PlannedFault, node: Node) -> None:
        duration_s = fault.argument
        match fault.kind.facts.deed:
            case "lost":
                node.lose()
                self._note(fault, node.number, "lost")
                if duration_s is not None:
                    self._schedule(duration_s, lambda: self._replace(fault, node.number))
            case "cut":
                node.cut()
                self._note(fault, node.number, "cut")
                self._schedule(duration_s or 0.0, lambda: self._heal(fault, node))
            case "interrupted":
                self._preempted[node.number] = fault
                self._note(fault, node.number, "interrupted")
                node.interrupt()
                self._schedule(duration_s or 0.0, lambda: self._end_grace(fault, node))

    def _end_grace(self, fault: PlannedFault, node: Node) -> None:
        """A node that was asked to go and is still there is killed."""
        if self._preempted.pop(node.number, None) is None:
            return
        node.lose()
        self._note(fault, node.number, "lost")
        if not self._is_requeued:
            self._replace(fault, node.number)

    def _heal(self, fault: PlannedFault, node: Node) -> None:
        node.heal()
        self._note(fault, node.number, "healed")

    def _replace(self, fault: PlannedFault, number: int) -> None:
        self._ask(self._cluster.replace(number))
        self._note(fault, number, "replaced")

    def _schedule(self, delay_s: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.monotonic() + delay_s, next(self._order), action))

    def _note(self, fault: PlannedFault, number: int, act: NodeAct) -> None:
        line = NodeFaultActed(fault=fault.number, node=number, act=act, time_ns=time.monotonic_ns())
        with ChainedFile(self._scenario_dir.supervisor_file) as evidence:
            evidence.write(encode_node_line(line))
