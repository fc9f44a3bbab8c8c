"""The nodes of a job and the store where they meet, warm for as many runs as are wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from launch.errors import UsageError
from launch.node_process import NodeProcess
from launch.topology import Topology

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]


class LocalCluster:
    """Nodes as process trees of this machine.

    Args:
        topology: How many nodes there are and where they meet.
        nproc_per_node: Ranks on each, at most.
        preload: Modules that their fork servers import besides torch.
        log_dir: Gets what the nodes themselves print; None: that goes to the caller's own output.
    """

    def __init__(
        self, topology: Topology, *, nproc_per_node: int, preload: Sequence[str] = (), log_dir: Path | None
    ) -> None:
        self._topology = topology
        self._nproc_per_node = nproc_per_node
        self._preload = preload
        self._log_dir = log_dir
        self._store: TCPStore | None = None
        self._log_files = contextlib.ExitStack()
        self.nodes: list[NodeProcess] = []

    def __enter__(self) -> Self:
        try:
            for number in range(self._topology.num_local_nodes):
                self.nodes.append(self._start_node(number))
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

    @property
    def endpoint(self) -> str:
        """Where the nodes meet, `host:port`."""
        if self._store is not None:
            return f"{self._topology.store_address}:{self._store.port}"
        return self._topology.endpoint or ""

    def close(self) -> None:
        """End the nodes and all that they started, then the store."""
        for node in self.nodes:
            node.close()
        self.nodes.clear()
        self._store = None
        self._log_files.close()

    def _start_node(self, number: int) -> NodeProcess:
        log = None
        if self._log_dir is not None:
            self._log_dir.mkdir(parents=True, exist_ok=True)
            log = self._log_files.enter_context((self._log_dir / f"node-{number}.log").open("ab"))
        return NodeProcess(
            nproc_per_node=self._nproc_per_node,
            one_machine=self._topology.is_one_machine,
            preload=self._preload,
            log=log,
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
