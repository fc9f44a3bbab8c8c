"""How the supervisor talks to a node: requests on one pipe, answers on another, each one line.

The first line from the node is an empty one: it has imported what it needs, and will answer a request at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path
from typing import IO, Protocol

import msgspec

from resumable.launch.errors import NodeError
from resumable.launch.evidence.node_records import NodeEnded, decode_node_line
from resumable.launch.node.protocol import NodeRequest
from resumable.launch.system.safe_io import last_lines

_WARM_TIMEOUT_S = 120.0
_NUM_LOG_LINES = 3


class NodeProcess(Protocol):
    """The process that a node is, or is reached by, as `subprocess.Popen` shows it."""

    pid: int

    def send_signal(self, sig: int, /) -> None:
        """Send a signal to it, if it is there."""

    def kill(self) -> None:
        """End it."""

    def wait(self) -> int:
        """Wait until it has ended; returns its exit code."""


class Channel:
    """The two ends of one node that this process holds.

    Args:
        number: The node's.
        process: When it ends, the node is gone.
        requests: Pipe that the node reads; closed with the channel.
        replies: Pipe that the node's answers come from; closed with the channel.
        log: Where the node prints; None: on the caller's own standard streams.
    """

    def __init__(
        self,
        number: int,
        process: NodeProcess,
        *,
        requests: IO[bytes],
        replies: int,
        log: IO[bytes] | None = None,
    ) -> None:
        self.number = number
        self._log = None if log is None else Path(log.name)
        self._process = process
        self._requests = requests
        self._replies = replies
        self._buffer = b""
        self._is_warm = False

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
        if self.is_closed:
            raise NodeError(f"node {self.number} is lost: replace it first")
        try:
            self._requests.write(msgspec.json.encode(request) + b"\n")
            self._requests.flush()
        except OSError as error:
            raise NodeError(f"node {self.number} is gone: {error.strerror}") from error

    def wait_until_warm(self) -> None:
        """Wait for the first line.

        Raises:
            NodeError: the node ended before it, or did not come to it within two minutes.
        """
        deadline = time.monotonic() + _WARM_TIMEOUT_S
        while not self._is_warm:
            if not self._is_readable(deadline - time.monotonic()):
                raise NodeError(f"node {self.number} is not warm after {_WARM_TIMEOUT_S:.0f} s")
            self._read()

    def answer(self) -> NodeEnded | None:
        """Take one line, if it is there.

        Raises:
            NodeError: there will be none, or it is no answer.
        """
        if self._is_readable(0):
            self._read()
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        record = decode_node_line(line)
        if not isinstance(record, NodeEnded):
            raise NodeError(f"node {self.number} answered {record!r}")
        return record

    def _is_readable(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self._replies], [], [], max(0.0, timeout_s))
        return bool(ready)

    def _read(self) -> None:
        data = os.read(self._replies, 1 << 16)
        if not data:
            code = self._process.wait()
            raise NodeError(
                f"node {self.number}: the node ended without an answer (exit code {code}){self._last_words()}"
            )
        self._buffer += data
        if not self._is_warm and self._buffer.startswith(b"\n"):
            self._buffer = self._buffer[1:]
            self._is_warm = True

    def _last_words(self) -> str:
        """The end of its log, and where all of it is."""
        lines = [] if self._log is None else last_lines(self._log, _NUM_LOG_LINES, within=self._log.parent)
        return "".join(
            f"\n{line}" for line in [f"the end of {self._log}:", *(f"    {line}" for line in lines)] if lines
        )

    def close(self) -> None:
        """End the process and close both ends; returns when it has ended. Twice is once."""
        if self.is_closed:
            return
        with contextlib.suppress(OSError):
            self._requests.close()
        self._process.kill()
        self._process.wait()
        os.close(self._replies)
        self._replies = -1
