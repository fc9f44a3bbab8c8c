"""The processes of a node's ranks, as torch's agent starts and ends them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from torch.distributed.elastic.multiprocessing.api import PContext

from launch.records import RankEnded
from launch.rendezvous import Round


class RankWatch:
    """Knows the pids of the running ranks, notes to the nanosecond when each ends, and limits how long survivors take.

    The agent looks at its ranks ten times a second, so that all that die within one look seem to die at once.

    Args:
        round_: The round that the node is in.
        grace_s: Time between SIGTERM and SIGKILL when the agent ends its ranks; None: what the agent says (30 s).
        announce: Called with the end of every rank, from a thread.
    """

    def __init__(self, round_: Round, *, grace_s: float | None, announce: Callable[[RankEnded], None]) -> None:
        self._round = round_
        self._grace_s = grace_s
        self._announce = announce
        self.pids: Mapping[int, int] = {}
        """Pid of every local rank of the current round, by rank; none between two rounds."""

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Look at every start and end of ranks in this process meanwhile."""
        start, close = PContext.start, PContext.close

        def watched_start(context: PContext) -> None:
            start(context)
            self._begin({int(context.envs[local]["RANK"]): pid for local, pid in context.pids().items()})

        def limited_close(context: PContext, death_sig: signal.Signals | None = None, timeout: float = 30) -> None:
            self.pids = {}
            close(context, death_sig, timeout if self._grace_s is None else self._grace_s)  # type: ignore[arg-type]

        PContext.start, PContext.close = watched_start, limited_close  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            PContext.start, PContext.close = start, close  # type: ignore[method-assign]

    def _begin(self, pids: dict[int, int]) -> None:
        self.pids = pids
        threading.Thread(target=self._await_ends, args=(pids, self._round.incarnation), daemon=True).start()

    def _await_ends(self, pids: dict[int, int], incarnation: int) -> None:
        ranks: dict[int, int] = {}
        poll = select.poll()
        for rank, pid in pids.items():
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                ranks[descriptor] = rank
                poll.register(descriptor, select.POLLIN)
        while ranks:
            for descriptor, _ in poll.poll():
                time_ns = time.monotonic_ns()
                rank = ranks.pop(descriptor)
                poll.unregister(descriptor)
                os.close(descriptor)
                self._announce(RankEnded(incarnation=incarnation, rank=rank, pid=pids[rank], time_ns=time_ns))


def kill(pid: int, signum: int = signal.SIGKILL) -> None:
    """Send a signal to a rank that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)
