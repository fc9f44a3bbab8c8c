"""How the supervisor talks to a node: requests on its standard input, answers on a pipe, each one line."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess

import msgspec

from launch.errors import NodeError
from launch.records import NodeEnded, decode_node_line
from launch.requests import NodeRequest


class Channel:
    """The two ends of one node that this process holds.

    Args:
        number: The node's.
        process: Its standard input is the node's; when it ends, the node is gone.
        replies: Pipe that the node's answers come from; closed with the channel.
    """

    def __init__(self, number: int, process: subprocess.Popen[bytes], replies: int) -> None:
        self.number = number
        self._process = process
        self._replies = replies
        self._buffer = b""

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._replies < 0

    def fileno(self) -> int:
        """The pipe."""
        return self._replies

    def request(self, request: NodeRequest) -> None:
        """Send one line.

        Raises:
            NodeError: nobody reads it.
        """
        if self.is_closed or self._process.stdin is None:
            raise NodeError(f"node {self.number} is lost: replace it first")
        try:
            self._process.stdin.write(msgspec.json.encode(request) + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise NodeError(f"node {self.number} is gone: {error.strerror}") from error

    def answer(self) -> NodeEnded | None:
        """Take one line, if it is there.

        Raises:
            NodeError: there will be none, or it is no answer.
        """
        ready, _, _ = select.select([self._replies], [], [], 0)
        if not ready:
            return None
        data = os.read(self._replies, 1 << 16)
        if not data:
            code = self._process.wait()
            raise NodeError(f"node {self.number}: the node ended without an answer (exit code {code})")
        self._buffer += data
        if not self._buffer.endswith(b"\n"):
            return None
        line, self._buffer = self._buffer, b""
        record = decode_node_line(line)
        if not isinstance(record, NodeEnded):
            raise NodeError(f"node {self.number} answered {record!r}")
        return record

    def close(self) -> None:
        """End the process and close both ends; returns when it has ended. Twice is once."""
        if self.is_closed:
            return
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        os.close(self._replies)
        self._replies = -1
