"""Carries out a plan on a cluster, scenario by scenario."""

from __future__ import annotations

import contextlib
import select
import signal
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from resumable.launch.cluster import Cluster, Node
from resumable.launch.errors import NodeError
from resumable.launch.evidence.node_records import NodeEnded
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.evidence.seal import seal
from resumable.launch.node.protocol import NodeRequest
from resumable.launch.plan.plan import Plan, Scenario
from resumable.launch.run.node_faults import NodeFaults

_POLL_S, _TICK_S = 0.02, 0.1
_SHUTDOWN_TIMEOUT_S = 30.0
"""torch's."""
_LAST_WORDS_S = 10.0
"""For a node to say how it ended, once its ranks have."""


def has_succeeded(ended: Sequence[NodeEnded]) -> bool:
    """Whether every node said that its ranks ended well; one that came too late to take part has none."""
    outcomes = {answer.outcome for answer in ended}
    return "succeeded" in outcomes and outcomes <= {"succeeded", "late"}


class Supervisor:
    """Starts the scenarios of a plan and waits for them.

    Args:
        plan: What to do; already stored in `run_dir`.
        run_dir: Gets the evidence.
        cluster: Its nodes are asked for each start of the job.
    """

    def __init__(self, plan: Plan, run_dir: RunDir, cluster: Cluster) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._cluster = cluster
        self._topology = cluster.topology

    def run(self, scenario: Scenario, *, on_tick: Callable[[], None] = lambda: None) -> list[NodeEnded]:
        """Run one scenario to its end, all its starts; says how each node ended the last one.

        Args:
            scenario: One of the plan's.
            on_tick: Called about ten times a second meanwhile.

        Raises:
            NodeError: a node died.
        """
        scenario_dir = self._run_dir.scenario(scenario.name)
        scenario_dir.create()
        run_id = self._topology.run_id or uuid.uuid4().hex
        ended: list[NodeEnded] = []
        for start, nproc_per_node in enumerate(scenario.nproc_per_start):

            def ask(node: Node, start: int = start, nproc_per_node: int = nproc_per_node) -> None:
                node.request(self._request(scenario, run_id, start, node.number, nproc_per_node))

            self._replace_lost()
            for node in self._cluster.nodes:
                ask(node)
            ended = self._wait(NodeFaults(scenario, scenario_dir, self._cluster, ask), on_tick)
            if has_succeeded(ended):
                break
        seal(scenario_dir)
        return ended

    def interrupt(self, signum: int = signal.SIGTERM) -> None:
        """End the running scenario in order: ranks get this signal, then SIGKILL; the nodes' last words are kept."""
        for node in self._cluster.nodes:
            node.interrupt(signum)
        deadline = time.monotonic() + self._ranks_grace_s() + _LAST_WORDS_S
        waiting = list(self._cluster.nodes)
        with contextlib.suppress(NodeError):
            while waiting and time.monotonic() < deadline:
                select.select(waiting, [], [], _TICK_S)
                waiting = [node for node in waiting if node.answer() is None]

    def _ranks_grace_s(self) -> float:
        """How long ranks have between the signal and SIGKILL."""
        flag = self._plan.torchrun.get("shutdown_timeout")
        grace_s = self._plan.grace_s if flag is None or self._plan.grace_s is not None else float(str(flag))
        return _SHUTDOWN_TIMEOUT_S if grace_s is None else grace_s

    def _request(self, scenario: Scenario, run_id: str, start: int, number: int, nproc_per_node: int) -> NodeRequest:
        work = self._run_dir.scenario(scenario.works_in).work if self._plan.fresh_directory else Path.cwd()
        return NodeRequest(
            run_dir=str(self._run_dir.root),
            scenario=scenario.name,
            working_directory=str(work),
            node=number,
            run_id=f"{run_id}-{start}" if start else run_id,
            incarnation_counter=run_id,
            endpoint=self._cluster.endpoint,
            rdzv_configs=self._topology.rdzv_configs,
            local_addr=self._topology.local_addr,
            nproc_per_node=nproc_per_node,
            max_restarts=scenario.max_restarts - scenario.first_incarnation if scenario.restart == "agent" else 0,
        )

    def _replace_lost(self) -> None:
        """Every start has all its nodes, and none that the others would begin without."""
        present = {node.number for node in self._cluster.nodes}
        lost = [number for number in range(self._topology.num_local_nodes) if number not in present]
        for node in [self._cluster.replace(number) for number in lost]:
            node.wait_until_warm()

    def _wait(self, node_faults: NodeFaults, on_tick: Callable[[], None]) -> list[NodeEnded]:
        """The answers of all nodes that are still there when nothing more is to come."""
        answers: dict[int, NodeEnded] = {}
        next_tick = time.monotonic()
        while True:
            nodes = [node for node in self._cluster.nodes if node.number not in answers]
            if not nodes and (self._cluster.nodes or node_faults.is_idle):
                break
            select.select(nodes, [], [], _POLL_S)
            node_faults.act()
            for node in self._cluster.nodes:
                answer = None if node.number in answers else node.answer()
                if answer is not None and not node_faults.takes(answer):
                    answers[node.number] = answer
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + _TICK_S
                on_tick()
        node_faults.finish()
        return [answers[number] for number in sorted(answers)]
