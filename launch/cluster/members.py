"""Which node holds which number."""

from __future__ import annotations

from typing import Generic, TypeVar

from resumable.launch.cluster.channel import Channel
from resumable.launch.errors import NodeError

N = TypeVar("N", bound=Channel)


class Members(Generic[N]):
    """The nodes of a cluster by their numbers; a lost one keeps its place until it is replaced."""

    def __init__(self) -> None:
        self._members: dict[int, N] = {}

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
