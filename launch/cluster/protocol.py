"""What the supervisor may ask of nodes, whatever they are made of."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from resumable.launch.evidence.node_records import NodeEnded
from resumable.launch.node.protocol import NodeRequest
from resumable.launch.plan.topology import Topology


class Node(Protocol):
    """One life of one node: an elastic agent, its fork server, its ranks and whatever these start.

    Faults take effect before the call returns. None of them waits for the job, and none has a clock of its own: whoever
    wants a node back after three seconds says so three seconds later.
    """

    @property
    def number(self) -> int:
        """Its number at the supervisor, from 0; a replacement has the number of the node that it replaces."""

    def fileno(self) -> int:
        """Readable when an answer has arrived or the node is gone: lets `select` wait for several nodes."""

    def request(self, request: NodeRequest) -> None:
        """Ask for one start of the job; the node may still be starting itself.

        Raises:
            NodeError: the node is gone.
        """

    def wait_until_warm(self) -> None:
        """Wait until the node has started.

        Nodes that are asked at once should meet at once: of two that are warm and one that is not, the two might begin
        without the third, where the job allows that.

        Raises:
            NodeError: it could not start.
        """

    def answer(self) -> NodeEnded | None:
        """The answer to the request, if it has arrived; None if not yet. Never waits.

        Raises:
            NodeError: the node ended without one, though nobody asked it to.
        """

    def interrupt(self, signum: int = signal.SIGTERM) -> None:
        """Send a signal to the agent, as a scheduler that takes the node away does.

        The agent passes it on to its ranks, ends them with SIGKILL after the shutdown timeout, and answers "interrupted".
        A preemption is this, and `lose` when the time of grace is over.
        """

    def lose(self) -> None:
        """SIGKILL everything of the node at once; nothing of it is left, and it will never answer. Twice is once."""

    def cut(self) -> None:
        """Separate the node from all others: they hear nothing of it, and it hears nothing of them, until `heal`.

        What it does meanwhile depends on the kind. A container goes on alone; a process tree stands still.
        """

    def heal(self) -> None:
        """Undo `cut`; what was under way between the nodes goes on, as far as nobody has given it up."""


class Cluster(Protocol):
    """Nodes that one supervisor starts, and the store where they meet. A context manager: nothing outlives it."""

    @property
    def topology(self) -> Topology:
        """How many nodes there are and how they find each other."""

    @property
    def endpoint(self) -> str:
        """The rendezvous store, `host:port` as the nodes see it. It survives the loss of any node."""

    @property
    def nodes(self) -> Sequence[Node]:
        """The nodes that are not lost, in order of their numbers."""

    def node(self, number: int) -> Node:
        """The node with this number.

        Raises:
            NodeError: it is lost, or there never was one.
        """

    def replace(self, number: int) -> Node:
        """Start a new node in the place of one that was lost; returns before it is warm.

        It knows nothing of the job: it joins when it is given the request of the current start.
        """

    def close(self) -> None:
        """End all nodes and all that they started, then the store. Twice is once."""

    def __enter__(self) -> Self:
        """Start the nodes and the store; returns when they are warm."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
