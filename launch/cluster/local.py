"""Nodes that are process trees of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

import psutil

from resumable.launch.cluster.channel import Channel, NodeProcess
from resumable.launch.cluster.members import Members
from resumable.launch.cluster.nursery import Nursery
from resumable.launch.cluster.store import host_store
from resumable.launch.plan.topology import Topology
from resumable.launch.system.environment import node_environment
from resumable.launch.system.processes import family, is_tracker, kill_tagged, remove_scratch

if TYPE_CHECKING:
    from torch.distributed import TCPStore


class LocalNode(Channel):
    """A process tree: what belongs to it carries its tag.

    Args:
        number: The node's.
        nproc_per_node: Ranks that it will run, at most.
        one_machine: All nodes of the job are on this machine.
        preload: Modules that its fork server imports besides torch.
        nursery: Forks it; None: it is a program of its own.
        log: Gets what the node itself prints (the elastic agent's messages); None: the node has the caller's own standard
            streams, and its ranks may read what the caller is given.
    """

    def __init__(
        self,
        number: int,
        *,
        nproc_per_node: int,
        one_machine: bool,
        preload: Sequence[str],
        nursery: Nursery | None,
        log: IO[bytes] | None,
    ) -> None:
        self.tag = uuid.uuid4().hex
        """In the environment of each of its processes."""
        request_end, requests = os.pipe()
        replies, reply_end = os.pipe()
        try:
            process: NodeProcess = (
                nursery.fork(self.tag, requests=request_end, replies=reply_end, log=log)
                if nursery is not None
                else subprocess.Popen(
                    [sys.executable, "-P", "-m", "resumable.launch.node", str(request_end), str(reply_end), *preload],
                    # A terminal stops no rank that reads it from the background: it does not rule their session.
                    stdin=None if log is None else subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(request_end, reply_end),
                    env=node_environment(tag=self.tag, nproc_per_node=nproc_per_node, one_machine=one_machine),
                    # Ctrl-C in a terminal goes to the supervisor alone, which then ends its nodes in order.
                    start_new_session=True,
                )
            )
        finally:
            os.close(request_end)
            os.close(reply_end)
        super().__init__(number, process, requests=os.fdopen(requests, "wb"), replies=replies, log=log)

    def interrupt(self, signum: int = signal.SIGTERM) -> None:
        """Send a signal to the agent."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signum)

    def lose(self) -> None:
        """Kill all that is there in one go: nothing of it can start another process any more."""
        if not self.is_closed:
            for process in self._freeze():
                with contextlib.suppress(psutil.Error):
                    process.resume() if is_tracker(process) else process.kill()
            self.close()
            kill_tagged(self.tag)
            remove_scratch(self.tag)

    def cut(self) -> None:
        """Stop every process of the tree (SIGSTOP). There is one network, so the node is not cut off but frozen."""
        self._freeze()

    def heal(self) -> None:
        """Let every process go on (SIGCONT)."""
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                process.resume()

    def _family(self) -> list[psutil.Process]:
        return family(self.tag, root=self._process.pid)

    def _freeze(self) -> list[psutil.Process]:
        """Stop every process of the tree; says which they are."""
        stopped: dict[int, psutil.Process] = {}
        while running := [process for process in self._family() if process.pid not in stopped]:
            for process in running:
                stopped[process.pid] = process
                with contextlib.suppress(psutil.Error):
                    process.suspend()
        return list(stopped.values())


class LocalCluster(Members[LocalNode]):
    """Nodes as process trees of this machine, with the store in this process.

    Args:
        topology: How many nodes there are and where they meet.
        nproc_per_node: Ranks on each, at most.
        preload: Modules that their fork servers import besides torch.
        log_dir: Gets what the nodes themselves print; None: they have the caller's own standard streams.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        nproc_per_node: int,
        preload: Sequence[str] = (),
        log_dir: Path | None,
    ) -> None:
        super().__init__(log_dir)
        self.topology = topology
        self._nproc_per_node = nproc_per_node
        self._preload = preload
        self._store: TCPStore | None = None
        self._nursery: Nursery | None = None

    def __enter__(self) -> Self:
        try:
            if self.topology.num_local_nodes > 1:
                self._nursery = Nursery(
                    nproc_per_node=self._nproc_per_node,
                    one_machine=self.topology.is_near,
                    preload=self._preload,
                    log=self._log(0),
                )
            for number in range(self.topology.num_local_nodes):
                self.replace(number)
            if self.topology.endpoint is None:
                self._store = host_store(self.topology.store_address, self.topology.store_port)
            self.wait_until_warm()
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
            return f"{self.topology.store_address}:{self._store.port}"
        return self.topology.endpoint or ""

    def replace(self, number: int) -> LocalNode:
        """Start a node; one that still holds the place is lost first."""
        if number in self._members:
            self._members[number].lose()
        self._members[number] = LocalNode(
            number,
            nproc_per_node=self._nproc_per_node,
            one_machine=self.topology.is_near,
            preload=self._preload,
            nursery=self._nursery,
            log=self._log(number),
        )
        return self._members[number]

    def close(self) -> None:
        """End the nodes and all that they started, then the store."""
        for node in self.nodes:
            node.lose()
        if self._nursery is not None:
            self._nursery.close()
        self._store = None
        self._log_files.close()
