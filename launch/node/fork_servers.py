"""The fork servers that a node's ranks come from: two, which take turns, so that a restart has a hash seed of its own.

Python draws the seed of its hashes when an interpreter starts, so all ranks that one fork server makes share it, before and
after a restart: a script that goes by the order of a set would find the same order again, which it does not under torchrun.
A server takes some seconds to import torch, more than a whole kill point, so that not every incarnation can have a new one.
With two of them in turns each incarnation has a seed that differs from the one before it.
"""

from __future__ import annotations

from resumable.launch.node.torch_private import (
    ForkProgram,
    fork_server_pid,
    new_fork_server,
    own_fork_server,
    tracker_pid,
    use_fork_server,
)


class ForkServers:
    """The one that this process has started already, and a second one as soon as a restart may come.

    Args:
        second: Starts the second one as a fork of a process with a different seed; None: it is a program of its own.
    """

    def __init__(self, second: ForkProgram | None = None) -> None:
        self._second = second
        self._servers = [own_fork_server()]
        self._num_used = 0

    @property
    def pids(self) -> frozenset[int]:
        """Children of this process that stay until it ends: the servers, and its resource tracker."""
        pids = [tracker_pid(), *map(fork_server_pid, self._servers)]
        return frozenset(pid for pid in pids if pid is not None)

    def prepare_for_restarts(self) -> None:
        """Start the second one, if it is not there; it imports in the background what the first has imported.

        A rank that is asked for too early comes when that is done.
        """
        if len(self._servers) == 1:
            self._servers.append(new_fork_server(like=self._servers[0], fork=self._second))

    def use(self, incarnation: int) -> None:
        """Let the ranks of this incarnation come from the server whose turn it is: at first that which was there first."""
        self._num_used = 0 if incarnation == 0 else self._num_used
        use_fork_server(self._servers[self._num_used % len(self._servers)])
        self._num_used += 1
