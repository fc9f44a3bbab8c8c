"""The processes of a node's ranks, as torch's agent starts and ends them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import psutil
from torch.distributed.elastic.multiprocessing.api import (
    MultiprocessContext,
    PContext,
    RunProcsResult,
    SignalException,
    SubprocessContext,
)

from resumable.launch.evidence.node_records import RankEnded
from resumable.launch.node.fork_servers import ForkServers
from resumable.launch.node.rendezvous import Round
from resumable.launch.node.torch_private import IS_DONE, answer_for, limit_join, processes_of
from resumable.launch.system.offspring import reap_adopted
from resumable.launch.system.processes import is_tracker

_LAG_S = 1.0
"""Between the end of a process and the moment when the thread that waits for it has noticed."""
_MOMENT_S = 0.002
"""Until a fork server has said how a rank ended."""


class RankWatch:
    """Knows the pids of the running ranks, notes when and how each ended, and limits how long survivors may take.

    The agent sleeps, looks at its ranks, takes all that died meanwhile for dead at once, and reports the exit code of one.
    Here every end has its nanosecond and its exit code, and a look comes as soon as no rank is left: who outlives another
    has as long as under torchrun to end by itself.

    Args:
        round_: The round that the node is in.
        look_every_s: How long a look waits for all ranks to end; the agent itself is not to sleep.
        grace_s: Time between SIGTERM and SIGKILL when the agent ends its ranks; None: what the agent says (30 s).
        announce: Called with the end of every rank, once all of a round have ended.
        fork_servers: Of the node.
    """

    def __init__(
        self,
        round_: Round,
        *,
        look_every_s: float,
        grace_s: float | None,
        announce: Callable[[RankEnded], None],
        fork_servers: ForkServers,
    ) -> None:
        self._round = round_
        self._look_every_s = look_every_s
        self._grace_s = grace_s
        self._announce = announce
        self._fork_servers = fork_servers
        self._ends: _Ends | None = None

    @property
    def pids(self) -> Mapping[int, int]:
        """Pid of every local rank of the current round, by rank; none between two rounds."""
        return self._ends.pids if self._ends is not None else {}

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Look at every start and end of ranks in this process meanwhile."""
        wait = PContext.wait
        start, close, is_done = PContext.start, PContext.close, getattr(MultiprocessContext, IS_DONE)

        def watched_start(context: PContext) -> None:
            start(context)
            if self._grace_s is not None:
                _limit(context, self._grace_s)
            ranks = {local: int(environment["RANK"]) for local, environment in context.envs.items()}
            self._ends = _Ends({ranks[local]: pid for local, pid in context.pids().items()})

        def limited_close(context: PContext, death_sig: signal.Signals | None = None, timeout: float = 30) -> None:
            ends, self._ends = self._ends, None
            if death_sig is not None and isinstance(sys.exc_info()[1], SignalException):
                _pass_on(context, death_sig)
            close(context, death_sig, timeout if self._grace_s is None else self._grace_s)  # type: ignore[arg-type]
            if ends is not None:
                self._tell(ends, _exit_codes(context))

        def watched_wait(context: PContext, timeout: float = -1, period: float = 1) -> RunProcsResult | None:
            if timeout == 0 and self._ends is not None:
                self._ends.await_all(self._look_every_s)
            # In the thread that starts ranks and waits for them: there is none that is not known yet, or not any more.
            reap_adopted({*self._fork_servers.pids, *self.pids.values()})
            return wait(context, timeout, period)

        def is_done_or_gone(context: MultiprocessContext) -> bool:
            _answer_for_the_gone(context)
            is_over: bool = is_done(context)
            return is_over

        PContext.start, PContext.close = watched_start, limited_close  # type: ignore[method-assign, assignment]
        PContext.wait = watched_wait  # type: ignore[method-assign, assignment]
        setattr(MultiprocessContext, IS_DONE, is_done_or_gone)
        try:
            yield
        finally:
            PContext.start, PContext.close, PContext.wait = start, close, wait  # type: ignore[method-assign]
            setattr(MultiprocessContext, IS_DONE, is_done)

    def _tell(self, ends: _Ends, exit_codes: Mapping[int, int | None]) -> None:
        for rank, time_ns in ends.times_ns().items():
            pid = ends.pids[rank]
            self._announce(
                RankEnded(
                    incarnation=self._round.incarnation,
                    rank=rank,
                    pid=pid,
                    time_ns=time_ns,
                    exit_code=exit_codes.get(pid),
                )
            )


class _Ends:
    """Waits, in a thread of its own, for the ranks of one round."""

    def __init__(self, pids: Mapping[int, int]) -> None:
        self.pids = pids
        self._times_ns: dict[int, int] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._await, daemon=True, name="rank-ends")
        self._thread.start()

    def times_ns(self) -> dict[int, int]:
        """When each rank ended, by rank; to be asked when all have, or nearly."""
        self._thread.join(_LAG_S)
        return dict(self._times_ns)

    def await_all(self, timeout_s: float) -> None:
        """Return when all ranks have ended, or after so long; a signal to this process may end it with an exception."""
        if self._is_over.wait(timeout_s):
            time.sleep(_MOMENT_S)

    def _await(self) -> None:
        ranks: dict[int, int] = {}
        poll = select.poll()
        for rank, pid in self.pids.items():
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:  # it was gone before anybody could wait for it
                self._times_ns[rank] = time.monotonic_ns()
                continue
            ranks[descriptor] = rank
            poll.register(descriptor, select.POLLIN)
        while ranks:
            for descriptor, _ in poll.poll():
                self._times_ns[ranks.pop(descriptor)] = time.monotonic_ns()
                poll.unregister(descriptor)
                os.close(descriptor)
        self._is_over.set()


def kill(pid: int, signum: int = signal.SIGKILL) -> None:
    """Send a signal to a rank that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def _pass_on(context: PContext, signum: int) -> None:
    """Give a signal that the node got to all that its ranks have started, loader workers for example.

    A scheduler signals every process of a job, and so does torchrun, whose ranks lead process groups; torch's agent signals
    ranks that are functions alone.
    """
    children: dict[int, psutil.Process] = {}
    for pid in context.pids().values() if isinstance(context, MultiprocessContext) else ():
        with contextlib.suppress(psutil.Error):
            children |= {child.pid: child for child in psutil.Process(pid).children(recursive=True)}
    for child in children.values():
        with contextlib.suppress(psutil.Error):
            if not is_tracker(child):
                child.send_signal(signum)


def _limit(context: PContext, grace_s: float) -> None:
    """Let the survivors of a failed rank have this time after SIGTERM.

    Ranks that are functions are ended by `torch.multiprocessing` before the agent closes them, with a grace of its own.
    """
    if isinstance(context, MultiprocessContext):
        limit_join(context, grace_s)


def _answer_for_the_gone(context: MultiprocessContext) -> None:
    """Give a rank a return value that left with exit code 0 and without one: its script called `os._exit`."""
    for local, process in enumerate(processes_of(context)):
        if process.exitcode == 0:
            answer_for(context, local)


def _exit_codes(context: PContext) -> dict[int, int | None]:
    """Exit code of every rank by pid, as `Popen.returncode` has it; None for one that is not gone."""
    if isinstance(context, SubprocessContext):
        handlers = context.subprocess_handlers.values()
        return {handler.proc.pid: handler.proc.poll() for handler in handlers}
    processes = processes_of(context) if isinstance(context, MultiprocessContext) else []
    return {process.pid: process.exitcode for process in processes if process.pid is not None}
