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

from resumable.launch.cluster.channel import Channel
from resumable.launch.cluster.members import Members
from resumable.launch.cluster.store import host_store
from resumable.launch.plan.topology import Topology
from resumable.launch.system.environment import node_environment
from resumable.launch.system.processes import family, is_tracker, kill_tagged, remove_scratch

if TYPE_CHECKING:
    from torch.distributed import TCPStore

_NUM_STARTING = 4 + len(os.sched_getaffinity(0))


class LocalNode(Channel):
    """A process tree: what belongs to it carries its tag.

    Args:
        number: The node's.
        nproc_per_node: Ranks that it will run, at most.
        one_machine: All nodes of the job are on this machine.
        preload: Modules that its fork server imports besides torch.
        log: Gets what the node itself prints (the elastic agent's messages); None: the node has the caller's own standard
            streams, and its ranks may read what the caller is given.
    """

    def __init__(
        self, number: int, *, nproc_per_node: int, one_machine: bool, preload: Sequence[str], log: IO[bytes] | None
    ) -> None:
        self._tag = uuid.uuid4().hex
        request_end, requests = os.pipe()
        replies, reply_end = os.pipe()
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "resumable.launch.node",
                    str(request_end),
                    str(reply_end),
                    *preload,
                ],
                # A terminal stops no rank that reads it from the background: it does not rule their session.
                stdin=None if log is None else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(request_end, reply_end),
                env=node_environment(tag=self._tag, nproc_per_node=nproc_per_node, one_machine=one_machine),
                # Ctrl-C in a terminal goes to the supervisor alone, which then ends its nodes in order.
                start_new_session=True,
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
            kill_tagged(self._tag)
            remove_scratch(self._tag)

    def cut(self) -> None:
        """Stop every process of the tree (SIGSTOP). There is one network, so the node is not cut off but frozen."""
        self._freeze()

    def heal(self) -> None:
        """Let every process go on (SIGCONT)."""
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                process.resume()

    def _family(self) -> list[psutil.Process]:
        return family(self._tag, root=self._process.pid)

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
        num_starting: So many are started at a time. Each imports torch twice, and of very many none would be warm in time.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        nproc_per_node: int,
        preload: Sequence[str] = (),
        log_dir: Path | None,
        num_starting: int = _NUM_STARTING,
    ) -> None:
        super().__init__(log_dir)
        self._num_starting = num_starting
        self.topology = topology
        self._nproc_per_node = nproc_per_node
        self._preload = preload
        self._store: TCPStore | None = None

    def __enter__(self) -> Self:
        try:
            for number in range(self.topology.num_local_nodes):
                self.replace(number)
                if number >= self._num_starting:
                    self.node(number - self._num_starting).wait_until_warm()
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
            log=self._log(number),
        )
        return self._members[number]

    def close(self) -> None:
        """End the nodes and all that they started, then the store."""
        for node in self.nodes:
            node.lose()
        self._store = None
        self._log_files.close()
