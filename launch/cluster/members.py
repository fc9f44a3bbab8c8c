"""Which node holds which number, and where each prints."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import IO, Generic, TypeVar

from resumable.launch.cluster.channel import Channel
from resumable.launch.errors import NodeError

N = TypeVar("N", bound=Channel)


class Members(Generic[N]):
    """The nodes of a cluster by their numbers; a lost one keeps its place until it is replaced.

    Args:
        log_dir: Gets what the nodes print, one file each; None: that goes to the caller's own streams.
    """

    def __init__(self, log_dir: Path | None) -> None:
        self._members: dict[int, N] = {}
        self._log_dir = log_dir
        self._log_files = contextlib.ExitStack()
        """To be closed with the cluster."""

    @property
    def nodes(self) -> tuple[N, ...]:
        """The nodes that are not lost, in order of their numbers."""
        return tuple(node for _, node in sorted(self._members.items()) if not node.is_closed)

    def node(self, number: int) -> N:
        """The node with this number.

        Raises:
            NodeError: it is lost, or there never was one.
        """
        for node in self.nodes:
            if node.number == number:
                return node
        raise NodeError(f"node {number} is not there; there are {[node.number for node in self.nodes]}")

    def wait_until_warm(self) -> None:
        """Wait until all nodes have started.

        Raises:
            NodeError: one could not.
        """
        for node in self.nodes:
            node.wait_until_warm()

    def _log(self, number: int) -> IO[bytes] | None:
        """Where a node prints; what the one that it replaces has printed stays."""
        if self._log_dir is None:
            return None
        self._log_dir.mkdir(parents=True, exist_ok=True)
        return self._log_files.enter_context((self._log_dir / f"node-{number}.log").open("ab"))
