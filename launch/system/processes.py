"""Ends of processes: nothing that a node started, and none of its temporary files, may outlive it.

Two mechanisms, because each has a hole. The kernel ends a rank when its parent dies (`PR_SET_PDEATHSIG`), but not the
rank's own children. Those carry the tag of their node in the environment that they were started with, so that they are
found wherever they were reparented to; a process that cleared its environment is not.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import tempfile
from collections.abc import Iterable
from pathlib import Path

import psutil

from resumable.launch.system.environment import tag_of

_PR_SET_PDEATHSIG = 1
_FORK_SERVER, _TRACKER = "multiprocessing.forkserver", "multiprocessing.resource_tracker"
_SWEEP_TIMEOUT_S, _TRACKER_TIMEOUT_S = 5.0, 10.0
_TEMPORARY = tempfile.gettempdir()
"""The system's; a node changes its own."""


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it ends.

    A parent that died before the call is not noticed by the kernel; the caller looks at `os.getppid()` where that matters.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def scratch_of(tag: str) -> Path:
    """The node's own folder for temporary files; what it starts keeps to the system's.

    Python and torch leave sockets and the tracebacks of ranks in temporary files, and who is killed removes none.
    """
    return Path(_TEMPORARY, f"resumable-{tag[:8]}")


def tagged(tag: str) -> list[psutil.Process]:
    """Every live process that was started under this tag, the caller excepted."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and tag_of(process.environ()) == tag and is_running(process):
                found.append(process)
    return found


def is_running(process: psutil.Process) -> bool:
    """Whether the process lives; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def is_tracker(process: psutil.Process) -> bool:
    """Whether it is a resource tracker of multiprocessing.

    It unlinks the semaphores and the shared memory of processes that were killed, and then ends by itself.
    """
    with contextlib.suppress(psutil.Error):
        return any(_TRACKER in word for word in process.cmdline())
    return False


def sweep(tag: str, *, keep_helpers: bool = False) -> tuple[list[int], list[int]]:
    """Kill every process under the tag; resource trackers clean up first.

    Args:
        tag: Tag of the node.
        keep_helpers: Spare the fork server, which a warm node needs for its next run, and the node's temporary files. The
            caller's own resource tracker is spared always: it ends after the caller.

    Returns:
        Pids that were found and killed, and those of them that would not die within 5 s.
    """
    found = [process for process in tagged(tag) if not _is_spared(process, keep_helpers=keep_helpers)]
    trackers = [process for process in found if is_tracker(process)]
    victims = [process for process in found if process not in trackers]
    _kill(victims)
    _, alive = psutil.wait_procs(victims, timeout=_SWEEP_TIMEOUT_S)
    _, stuck = psutil.wait_procs(trackers, timeout=_TRACKER_TIMEOUT_S)
    _kill(stuck)
    alive += psutil.wait_procs(stuck, timeout=_SWEEP_TIMEOUT_S)[1]
    if not keep_helpers:
        shutil.rmtree(scratch_of(tag), ignore_errors=True)
    return [process.pid for process in victims + stuck], [process.pid for process in alive if is_running(process)]


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _is_spared(process: psutil.Process, *, keep_helpers: bool) -> bool:
    """Helpers of the node itself: a rank may have some of its own, which end with it."""
    with contextlib.suppress(psutil.Error):
        is_own = process.ppid() == os.getpid()
        is_fork_server = any(_FORK_SERVER in word for word in process.cmdline())
        return is_own and (is_tracker(process) or (keep_helpers and is_fork_server))
    return False
