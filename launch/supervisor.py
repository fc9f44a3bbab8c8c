"""Carries out a plan on a cluster, scenario by scenario."""

from __future__ import annotations

import contextlib
import itertools
import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from launch.cluster import LocalCluster
from launch.plan import Plan, Scenario
from launch.records import NodeEnded
from launch.requests import NodeRequest
from launch.rundir import RunDir
from launch.topology import Topology

_TICK_S = 0.1
_INTERRUPT_GRACE_S = 40.0
"""Longer than torch gives ranks between SIGTERM and SIGKILL, so that a node can still say how it ended."""
_run_numbers = itertools.count()


def has_succeeded(ended: Sequence[NodeEnded]) -> bool:
    """Whether every node said that its ranks ended well."""
    return bool(ended) and all(answer.outcome == "succeeded" for answer in ended)


class Supervisor:
    """Starts the scenarios of a plan and waits for them.

    Args:
        plan: What to do; already stored in `run_dir`.
        run_dir: Gets the evidence.
        cluster: Its nodes are asked for each start of the job.
    """

    def __init__(self, plan: Plan, run_dir: RunDir, cluster: LocalCluster) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._cluster = cluster
        self._topology = Topology.of(plan)

    def run(self, scenario: Scenario, *, on_tick: Callable[[], None] = lambda: None) -> list[NodeEnded]:
        """Run one scenario to its end, all its starts; says how each node ended the last one.

        Args:
            scenario: One of the plan's.
            on_tick: Called about ten times a second meanwhile.

        Raises:
            NodeError: a node died.
        """
        self._run_dir.scenario(scenario.name).create()
        counter = f"{next(_run_numbers)}/{scenario.name}"
        ended: list[NodeEnded] = []
        for start, nproc_per_node in enumerate(scenario.nproc_per_start):
            for number, node in enumerate(self._cluster.nodes):
                node.request(self._request(scenario, counter, start, number, nproc_per_node))
            ended = self._wait(on_tick)
            if has_succeeded(ended):
                break
        return ended

    def interrupt(self) -> None:
        """End the running scenario in order: ranks get SIGTERM, then SIGKILL; the nodes' last words are kept."""
        for node in self._cluster.nodes:
            node.interrupt()
        deadline = time.monotonic() + _INTERRUPT_GRACE_S
        with contextlib.suppress(Exception):
            self._wait(lambda: None, deadline=deadline)

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

    def _wait(self, on_tick: Callable[[], None], *, deadline: float = float("inf")) -> list[NodeEnded]:
        nodes = self._cluster.nodes
        answers: dict[int, NodeEnded] = {}
        while len(answers) < len(nodes) and time.monotonic() < deadline:
            select.select(nodes, [], [], _TICK_S)
            for number, node in enumerate(nodes):
                answer = None if number in answers else node.answer()
                if answer is not None:
                    answers[number] = answer
            on_tick()
        return [answers[number] for number in sorted(answers)]
