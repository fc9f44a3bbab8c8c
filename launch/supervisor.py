"""Carries out a plan: hosts the rendezvous store, keeps the nodes, and starts each scenario on them."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from launch.errors import UsageError
from launch.node_process import NodeProcess
from launch.plan import Plan, Scenario
from launch.records import NodeEnded
from launch.requests import NodeRequest
from launch.rundir import RunDir
from launch.topology import Topology

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

_TICK_S = 0.1
_INTERRUPT_GRACE_S = 40.0
"""Longer than torch gives ranks between SIGTERM and SIGKILL, so that a node can still say how it ended."""


class Supervisor:
    """The nodes of one command, warm from its first scenario to its last.

    Args:
        plan: What to do; already stored in `run_dir`.
        run_dir: Gets the evidence.
    """

    def __init__(self, plan: Plan, run_dir: RunDir) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._topology = Topology.of(plan)
        self._store: TCPStore | None = None
        self._nodes: list[NodeProcess] = []
        self._open_files = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start_nodes()
            if self._topology.endpoint is None:
                self._store = self._host_store()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def run(self, scenario: Scenario, *, on_tick: Callable[[], None] = lambda: None) -> list[NodeEnded]:
        """Run one scenario to its end, all its starts; says how each node ended the last one.

        Args:
            scenario: One of the plan's.
            on_tick: Called about ten times a second meanwhile.

        Raises:
            NodeError: a node died.
        """
        self._run_dir.scenario(scenario.name).create()
        ended: list[NodeEnded] = []
        for start, nproc_per_node in enumerate(scenario.nproc_per_start):
            for number, node in enumerate(self._nodes):
                node.request(self._request(scenario, start, number, nproc_per_node))
            ended = self._wait(on_tick)
            if all(answer.outcome == "succeeded" for answer in ended):
                break
        return ended

    def interrupt(self) -> None:
        """End the running scenario in order: ranks get SIGTERM, then SIGKILL; the nodes' last words are kept."""
        for node in self._nodes:
            node.interrupt()
        deadline = time.monotonic() + _INTERRUPT_GRACE_S
        with contextlib.suppress(Exception):
            self._wait(lambda: None, deadline=deadline)

    def close(self) -> None:
        """End the nodes and all that they started, then the store."""
        for node in self._nodes:
            node.close()
        self._nodes.clear()
        self._store = None
        self._open_files.close()

    def _start_nodes(self) -> None:
        log_dir = self._run_dir.root / "nodes"
        log_dir.mkdir(exist_ok=True)
        for number in range(self._topology.num_local_nodes):
            log = None
            if self._plan.command != "run":
                log = self._open_files.enter_context((log_dir / f"node-{number}.log").open("ab"))
            self._nodes.append(
                NodeProcess(
                    nproc_per_node=max(max(scenario.nproc_per_start) for scenario in self._plan.scenarios),
                    one_machine=self._topology.is_one_machine,
                    preload=self._plan.preload,
                    log=log,
                )
            )

    def _host_store(self) -> TCPStore:
        """A store that no node hosts, so that no node's death takes it along."""
        from torch.distributed import TCPStore  # type: ignore[attr-defined] # noqa: PLC0415 - 2 s; nodes start meanwhile

        address, port = self._topology.store_address, self._topology.store_port
        try:
            return TCPStore(address, port, is_master=True, wait_for_workers=False)
        except RuntimeError as error:
            raise UsageError(
                f"--master-port {port}: the port is taken on {address}; choose another, or leave it out for a free one"
            ) from error

    def _request(self, scenario: Scenario, start: int, number: int, nproc_per_node: int) -> NodeRequest:
        topology = self._topology
        endpoint = topology.endpoint
        if endpoint is None and self._store is not None:
            endpoint = f"{topology.store_address}:{self._store.port}"
        work = self._run_dir.scenario(scenario.name).work if self._plan.fresh_directory else Path.cwd()
        return NodeRequest(
            run_dir=str(self._run_dir.root),
            scenario=scenario.name,
            working_directory=str(work),
            node=number,
            run_id=f"{topology.run_id or scenario.name}-{start}",
            endpoint=endpoint or "",
            rdzv_configs=topology.rdzv_configs,
            local_addr=topology.local_addr,
            nproc_per_node=nproc_per_node,
            max_restarts=scenario.max_restarts if scenario.restart == "agent" else 0,
        )

    def _wait(self, on_tick: Callable[[], None], *, deadline: float = float("inf")) -> list[NodeEnded]:
        answers: dict[int, NodeEnded] = {}
        while len(answers) < len(self._nodes) and time.monotonic() < deadline:
            select.select(self._nodes, [], [], _TICK_S)
            for number, node in enumerate(self._nodes):
                answer = None if number in answers else node.answer()
                if answer is not None:
                    answers[number] = answer
            on_tick()
        return [answers[number] for number in sorted(answers)]
