"""Where the nodes of this machine come from, if there are many: forks of one process, instead of a program each."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Sequence
from typing import IO

from resumable.launch.errors import NodeError
from resumable.launch.node.wishes import Wish, wished
from resumable.launch.system.environment import node_environment

_NO_CODE = -1
"""Only a process's own parent is told its exit code."""


class ForkedNode:
    """A process that somebody else has started, as `subprocess.Popen` shows one.

    Args:
        pid: Of the process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor: int | None = None
        with contextlib.suppress(ProcessLookupError):
            self._descriptor = os.pidfd_open(pid)

    def send_signal(self, signum: int) -> None:
        """Send a signal; nothing where it has ended."""
        if self._descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signum)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def wait(self) -> int:
        """Wait until it has ended."""
        if self._descriptor is not None:
            select.select([self._descriptor], [], [])
            os.close(self._descriptor)
            self._descriptor = None
        return _NO_CODE


class Nursery:
    """Forks nodes that have imported everything.

    Args:
        nproc_per_node: Ranks on each, at most.
        one_machine: All nodes of the job are on this machine.
        preload: Modules that fork servers import besides torch.
        log: Gets what the nursery itself prints; None: the caller's own standard streams, which the nodes have too.
    """

    def __init__(
        self, *, nproc_per_node: int, one_machine: bool, preload: Sequence[str], log: IO[bytes] | None
    ) -> None:
        self._preload = tuple(preload)
        self._processes: list[subprocess.Popen[bytes]] = []

        def start(*modules: str) -> socket.socket:
            wishes, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with end:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "resumable.launch.node.nursery", str(end.fileno()), *modules],
                    stdin=None if log is None else subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(end.fileno(),),
                    env=node_environment(tag=uuid.uuid4().hex, nproc_per_node=nproc_per_node, one_machine=one_machine),
                    start_new_session=True,
                )
            self._processes.append(process)
            return wishes

        self._nodes, self._second_servers = start(), start(*preload)

    def fork(self, tag: str, *, requests: int, replies: int, log: IO[bytes] | None) -> ForkedNode:
        """Start a node; the first one waits for what is imported.

        Args:
            tag: The node's.
            requests: Descriptor of the end of a pipe that it reads.
            replies: Descriptor of the end of a pipe that it writes to.
            log: Gets what the node prints; None: where the nursery prints.

        Raises:
            NodeError: the nursery is gone.
        """
        descriptors = [requests, replies, self._second_servers.fileno()]
        wish = Wish(tag=tag, preload=self._preload)
        pid = wished(self._nodes, wish, [*descriptors, log.fileno()] if log is not None else descriptors)
        if pid is None:
            raise NodeError(f"no node can be started: their nursery has ended (exit code {self._processes[0].wait()})")
        return ForkedNode(pid)

    def close(self) -> None:
        """Fork no node any more; twice is once."""
        for wishes in (self._nodes, self._second_servers):
            wishes.close()
        for process in self._processes:
            process.kill()
            process.wait()
