"""Ends of processes: nothing that a node started may outlive it.

Two mechanisms, because each has a hole. The kernel ends a rank when its parent dies (`PR_SET_PDEATHSIG`), but not the
rank's own children. Those carry the tag of their node in the environment that they were started with, so that they are
found wherever they were reparented to; a process that cleared its environment is not.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

import psutil

from launch.environment import tag_of

_PR_SET_PDEATHSIG = 1
_HELPERS = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")
_SWEEP_TIMEOUT_S = 5.0


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it ends.

    A parent that died before the call is not noticed by the kernel; the caller looks at `os.getppid()` where that matters.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


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


def sweep(tag: str, *, keep_helpers: bool = False) -> tuple[list[int], list[int]]:
    """Kill every process under the tag.

    Args:
        tag: Tag of the node.
        keep_helpers: Spare the fork server and the resource tracker, which a warm node needs for its next run.

    Returns:
        Pids that were found and killed, and those of them that would not die within 5 s.
    """
    victims = [process for process in tagged(tag) if not (keep_helpers and _is_helper(process))]
    for process in victims:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _, alive = psutil.wait_procs(victims, timeout=_SWEEP_TIMEOUT_S)
    return [process.pid for process in victims], [process.pid for process in alive if is_running(process)]


def _is_helper(process: psutil.Process) -> bool:
    """Whether it is a helper of the node itself: a rank may run helpers of its own, which end with it."""
    with contextlib.suppress(psutil.Error):
        command = " ".join(process.cmdline())
        return process.ppid() == os.getpid() and any(helper in command for helper in _HELPERS)
    return False
