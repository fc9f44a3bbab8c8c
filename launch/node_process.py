"""A node as the supervisor sees it: a process that takes requests and answers each once."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from typing import IO

import msgspec

from launch.environment import node_environment
from launch.errors import NodeError
from launch.processes import sweep
from launch.records import NodeEnded, decode_node_line
from launch.requests import NodeRequest


class NodeProcess:
    """One warm node on this machine.

    Args:
        nproc_per_node: Ranks that it will run, at most.
        one_machine: All nodes of the job are on this machine.
        preload: Modules that its fork server imports besides torch.
        log: Gets what the node itself prints (the elastic agent's messages); None: the caller's own output.
    """

    def __init__(
        self, *, nproc_per_node: int, one_machine: bool, preload: Sequence[str], log: IO[bytes] | None
    ) -> None:
        self._tag = uuid.uuid4().hex
        self._buffer = b""
        self._replies, reply_end = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "launch.node_main", str(reply_end), *preload],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(reply_end,),
                env=node_environment(tag=self._tag, nproc_per_node=nproc_per_node, one_machine=one_machine),
                # Ctrl-C in a terminal goes to the supervisor alone, which then ends its nodes in order.
                start_new_session=True,
            )
        finally:
            os.close(reply_end)

    def fileno(self) -> int:
        """The pipe on which an answer arrives: lets `select` wait for several nodes."""
        return self._replies

    def request(self, request: NodeRequest) -> None:
        """Ask for one start of the job.

        Raises:
            NodeError: the node is gone.
        """
        if self._process.stdin is None:
            raise NodeError("the node has no standard input")
        try:
            self._process.stdin.write(msgspec.json.encode(request) + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise NodeError(f"node {request.node} is gone: {error.strerror}") from error

    def answer(self) -> NodeEnded | None:
        """The answer, if it has arrived; None if not yet.

        Raises:
            NodeError: the node ended without one.
        """
        ready, _, _ = select.select([self._replies], [], [], 0)
        if not ready:
            return None
        data = os.read(self._replies, 1 << 16)
        if not data:
            raise NodeError(f"the node ended without an answer (exit code {self._process.wait()})")
        self._buffer += data
        if not self._buffer.endswith(b"\n"):
            return None
        line, self._buffer = self._buffer, b""
        record = decode_node_line(line)
        if not isinstance(record, NodeEnded):
            raise NodeError(f"the node answered {record!r}")
        return record

    def interrupt(self, signum: int = signal.SIGTERM) -> None:
        """Ask the node to end its job: its ranks get the signal, and SIGKILL after the shutdown timeout."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signum)

    def close(self) -> None:
        """End the node and everything that it started; returns when all of it is gone."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        sweep(self._tag)
        os.close(self._replies)
