"""Carries out a plan on a cluster, scenario by scenario."""

from __future__ import annotations

import contextlib
import itertools
import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from launch.cluster import Cluster, Node
from launch.errors import NodeError
from launch.nemesis import Nemesis
from launch.plan import Plan, Scenario
from launch.records import NodeEnded
from launch.requests import NodeRequest
from launch.rundir import RunDir

_POLL_S, _TICK_S = 0.02, 0.1
_INTERRUPT_GRACE_S = 40.0
"""Longer than torch gives ranks between SIGTERM and SIGKILL, so that a node can still say how it ended."""
_run_numbers = itertools.count()


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
        counter = f"{next(_run_numbers)}/{scenario.name}"
        ended: list[NodeEnded] = []
        for start, nproc_per_node in enumerate(scenario.nproc_per_start):

            def ask(node: Node, start: int = start, nproc_per_node: int = nproc_per_node) -> None:
                node.request(self._request(scenario, counter, start, node.number, nproc_per_node))

            self._replace_lost()
            for node in self._cluster.nodes:
                ask(node)
            ended = self._wait(Nemesis(scenario, scenario_dir, self._cluster, ask), on_tick)
            if has_succeeded(ended):
                break
        return ended

    def interrupt(self) -> None:
        """End the running scenario in order: ranks get SIGTERM, then SIGKILL; the nodes' last words are kept."""
        for node in self._cluster.nodes:
            node.interrupt()
        deadline = time.monotonic() + _INTERRUPT_GRACE_S
        waiting = list(self._cluster.nodes)
        with contextlib.suppress(NodeError):
            while waiting and time.monotonic() < deadline:
                select.select(waiting, [], [], _TICK_S)
                waiting = [node for node in waiting if node.answer() is None]

    def _request(self, scenario: Scenario, counter: str, start: int, number: int, nproc_per_node: int) -> NodeRequest:
        work = self._run_dir.scenario(scenario.name).work if self._plan.fresh_directory else Path.cwd()
        return NodeRequest(
            run_dir=str(self._run_dir.root),
            scenario=scenario.name,
            working_directory=str(work),
            node=number,
            run_id=f"{self._topology.run_id or counter}-{start}",
            incarnation_counter=self._topology.run_id or counter,
            endpoint=self._cluster.endpoint,
            rdzv_configs=self._topology.rdzv_configs,
            local_addr=self._topology.local_addr,
            nproc_per_node=nproc_per_node,
            max_restarts=scenario.max_restarts if scenario.restart == "agent" else 0,
        )

    def _replace_lost(self) -> None:
        """Every start has all its nodes, and none that the others would begin without."""
        present = {node.number for node in self._cluster.nodes}
        lost = [number for number in range(self._topology.num_local_nodes) if number not in present]
        for node in [self._cluster.replace(number) for number in lost]:
            node.wait_until_warm()

    def _wait(self, nemesis: Nemesis, on_tick: Callable[[], None]) -> list[NodeEnded]:
        """The answers of all nodes that are still there when nothing more is to come."""
        answers: dict[int, NodeEnded] = {}
        next_tick = time.monotonic()
        while True:
            nodes = [node for node in self._cluster.nodes if node.number not in answers]
            if not nodes and (self._cluster.nodes or nemesis.is_idle):
                break
            select.select(nodes, [], [], _POLL_S)
            nemesis.act()
            for node in self._cluster.nodes:
                answer = None if node.number in answers else node.answer()
                if answer is not None and not nemesis.takes(answer):
                    answers[node.number] = answer
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + _TICK_S
                on_tick()
        nemesis.finish()
        return [answers[number] for number in sorted(answers)]
