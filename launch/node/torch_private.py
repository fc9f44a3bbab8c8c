"""Every private name of torch and of Python that is used in a node, and what is replaced there; no other module uses one.

A release may take any of them away: `PRIVATE_NAMES` lists them, and a test says which the installed versions lack.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing.process import BaseProcess
from typing import Any

from torch.distributed import Store
from torch.distributed.elastic.multiprocessing import LogsSpecs, tail_log
from torch.distributed.elastic.multiprocessing.api import MultiprocessContext
from torch.distributed.elastic.rendezvous import RendezvousStoreInfo, c10d_rendezvous_backend, dynamic_rendezvous
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import DynamicRendezvousHandler

from resumable.launch.node.log_tail import tail
from resumable.launch.node.stores import tcp_store

PRIVATE_NAMES = {
    "multiprocessing.forkserver": ("_forkserver", "connect_to_new_process", "ensure_running"),
    "multiprocessing.forkserver:ForkServer": ("_forkserver_pid", "_preload_modules"),
    "multiprocessing.util": ("spawnv_passfds",),
    "multiprocessing.resource_tracker": ("_resource_tracker",),
    "multiprocessing.resource_tracker:ResourceTracker": ("_pid",),
    "sys": ("_getframe",),
    "torch.distributed.elastic.multiprocessing.api:LogsSpecs": ("_local_ranks_filter",),
    "torch.distributed.elastic.multiprocessing.api:MultiprocessContext": ("_is_done", "_pc", "_return_values"),
    "torch.distributed.elastic.multiprocessing.api:PContext": ("close", "pids", "start", "wait"),
    "torch.distributed.elastic.multiprocessing.api:SubprocessContext": ("subprocess_handlers",),
    "torch.distributed.elastic.multiprocessing.tail_log": ("tail_logfile",),
    "torch.distributed.elastic.rendezvous.c10d_rendezvous_backend": ("TCPStore",),
    "torch.distributed.elastic.rendezvous.dynamic_rendezvous": ("_delay", "get_method_name"),
    "torch.distributed.elastic.rendezvous.dynamic_rendezvous:DynamicRendezvousHandler": (
        "_bootstrap_store_info",
        "_shared_tcp_store_server",
    ),
    "torch.multiprocessing:ProcessContext": ("_join_procs_with_timeout", "processes"),
}
"""Names by their owner, as `pkgutil.resolve_name` takes it; of a class also attributes that its methods set."""

ForkProgram = Callable[[str, Sequence[int]], int]
"""Forks a process for a program, given as the text of it, that needs some descriptors; returns its pid."""
IS_DONE = "_is_done"
"""The method of a `MultiprocessContext` that looks whether its ranks have ended."""


def tracker_pid() -> int | None:
    """This process's resource tracker, which ends by itself once the process has ended."""
    pid: int | None = resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]
    return pid


def own_fork_server() -> forkserver.ForkServer:
    """The one that new processes of this process come from."""
    return forkserver._forkserver


def start_fork_server(server: forkserver.ForkServer, fork: ForkProgram) -> None:
    """Start it as a fork of a process that has imported everything, where Python would start an interpreter for it."""
    resource_tracker.ensure_running()  # this one is a program of its own
    spawn = util.spawnv_passfds

    def spawn_by_fork(_program: object, words: Sequence[str], descriptors: Sequence[int]) -> int:
        setattr(util, "spawnv_passfds", spawn)  # noqa: B010 - whoever is forked spawns as Python does
        return fork(words[-1], descriptors)

    setattr(util, "spawnv_passfds", spawn_by_fork)  # noqa: B010 - for a moment
    try:
        server.ensure_running()
    finally:
        setattr(util, "spawnv_passfds", spawn)  # noqa: B010


def fork_server_pid(server: forkserver.ForkServer) -> int | None:
    """Its process, if it was started."""
    pid: int | None = server._forkserver_pid  # type: ignore[attr-defined]
    return pid


def new_fork_server(*, like: forkserver.ForkServer, fork: ForkProgram | None) -> forkserver.ForkServer:
    """Start another one, which imports the same modules; it answers when it has.

    Args:
        like: One that runs.
        fork: Starts it as a fork of another process than this; None: it is a program.
    """
    server = forkserver.ForkServer()
    server.set_forkserver_preload(like._preload_modules)  # type: ignore[attr-defined]
    if fork is None:
        server.ensure_running()
    else:
        start_fork_server(server, fork)
        setattr(server, "ensure_running", lambda: None)  # noqa: B010 - it would ask after it as after a child
    return server


def use_fork_server(server: forkserver.ForkServer) -> None:
    """Let new processes of this process come from this one."""
    forkserver._forkserver = server
    forkserver.connect_to_new_process = server.connect_to_new_process
    forkserver.ensure_running = server.ensure_running


def shown_local_ranks(logs: LogsSpecs | None) -> set[int] | None:
    """Local ranks that may write to the console; None: all."""
    return logs._local_ranks_filter if logs is not None else None


def processes_of(context: MultiprocessContext) -> Sequence[BaseProcess]:
    """Ranks that are functions, by local rank; none before they are started."""
    return context._pc.processes if context._pc else []


def answer_for(context: MultiprocessContext, local_rank: int) -> None:
    """Give a rank a return value, if it has none."""
    context._return_values.setdefault(local_rank, None)


def limit_join(context: MultiprocessContext, grace_s: float) -> None:
    """Let `torch.multiprocessing` wait that long for survivors that it has sent SIGTERM."""
    if context._pc:
        join: Callable[[float], Any] = context._pc._join_procs_with_timeout
        context._pc._join_procs_with_timeout = lambda _timeout: join(grace_s)


def skip_own_worker_store(handler: DynamicRendezvousHandler, store: Store) -> None:
    """Let torch's handler believe that it has opened a store for the ranks.

    It would cache that store's address, which a node that joins later never gets, and look up host names for it, which can
    fail or stall.
    """
    handler._bootstrap_store_info = RendezvousStoreInfo("", 0)
    handler._shared_tcp_store_server = store


def keep_near_stores_near() -> None:
    """Let the store of a rendezvous that is on the loopback listen there alone."""
    setattr(c10d_rendezvous_backend, "TCPStore", tcp_store)  # noqa: B010 - a function in the place of a class


def show_long_lines_in_pieces() -> None:
    """Let the agent copy the logs of ranks to the console with `log_tail.tail`."""
    tail_log.tail_logfile = tail


def name_callers_without_sources() -> None:
    """Make the rendezvous find the name of a caller in its frame.

    torch writes it for every step into a log that nobody keeps, and reads the sources of the whole stack to find it: 0.3 s
    of work for a restart.
    """
    dynamic_rendezvous.get_method_name = _name_of_caller


def poll_every(poll_s: float) -> None:
    """Replace torch's waits, which spare a far store: 1 s before each further look, and a drawn one before a first join."""

    def delay(seconds: float | tuple[float, float]) -> None:
        if not isinstance(seconds, tuple):
            time.sleep(poll_s)

    dynamic_rendezvous._delay = delay


def _name_of_caller(depth: int = 2) -> str:
    return sys._getframe(depth).f_code.co_name
