"""Ends of processes: nothing that a node started, and none of its temporary files, may outlive it.

Three mechanisms, because each has a hole. The kernel ends a rank when its parent dies (`PR_SET_PDEATHSIG`), but not the
rank's own children. Those carry the tag of their node in the environment that they were started with, so that they are
found wherever they were reparented to. One that has cleared its environment and left its parent as well stays below the
node, which adopts orphans (`PR_SET_CHILD_SUBREAPER`), for as long as the node lives; or below the command, where the rank
came from a fork server that is none of its node's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import psutil

from resumable.launch.system.environment import tag_of

_TRACKER = "multiprocessing.resource_tracker"
_KILL_TIMEOUT_S, _TRACKER_TIMEOUT_S = 5.0, 10.0
_TEMPORARY = tempfile.gettempdir()
"""The system's; a node changes its own."""


def scratch_of(tag: str) -> Path:
    """The node's own folder for temporary files; what it starts keeps to the system's.

    Python and torch leave sockets and the tracebacks of ranks in temporary files, and who is killed removes none.
    """
    return Path(_TEMPORARY, f"resumable-{tag[:8]}")


def remove_scratch(tag: str) -> None:
    """Remove the node's temporary files."""
    shutil.rmtree(scratch_of(tag), ignore_errors=True)


def family(tag: str, *, root: int | None = None) -> list[psutil.Process]:
    """Every live process that was started under this tag, the caller excepted.

    Args:
        tag: Of a node.
        root: The node, if it adopts orphans: all that is below it belongs to it too. Once it is gone, its number may be
            another process's, which does not carry the tag.
    """
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if tag_of(process.environ()) == tag:
                found[process.pid] = process
    if root is not None:
        with contextlib.suppress(psutil.Error, OSError):
            node = psutil.Process(root)
            if root == os.getpid() or tag_of(node.environ()) == tag:
                found |= {process.pid: process for process in node.children(recursive=True)}
    return [process for process in found.values() if process.pid != os.getpid() and is_running(process)]


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


def kill_tagged(
    tag: str, *, root: int | None = None, spared: Collection[int] = frozenset()
) -> tuple[list[int], list[int]]:
    """Kill every process of a node; resource trackers clean up first.

    Args:
        tag: Tag of the node.
        root: See `family`.
        spared: Pids that are left alone.

    Returns:
        Pids that were found and killed, and those of them that would not die within 5 s.
    """
    return _kill_all(lambda: [process for process in family(tag, root=root) if process.pid not in spared])


def pids_below() -> frozenset[int]:
    """Every process below this one."""
    return frozenset(process.pid for process in psutil.Process().children(recursive=True))


def kill_below(spared: Collection[int]) -> None:
    """Kill every process below this one, which adopts orphans, but for some pids."""
    _kill_all(lambda: [child for child in psutil.Process().children(recursive=True) if _is_left(child, spared)])


def _is_left(process: psutil.Process, spared: Collection[int]) -> bool:
    """A resource tracker of this process ends after it."""
    return process.pid not in spared and is_running(process) and not is_tracker(process)


def _kill_all(find: Callable[[], list[psutil.Process]]) -> tuple[list[int], list[int]]:
    """Kill what is found until nothing more is; see `kill_tagged`."""
    victims: dict[int, psutil.Process] = {}
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    is_over = False
    while not is_over:  # what was started meanwhile is found in the next round
        found = find()
        trackers = [process for process in found if is_tracker(process)]
        killed = [process for process in found if process not in trackers]
        victims |= {process.pid: process for process in killed}
        _kill(killed)
        psutil.wait_procs(killed, timeout=max(0.0, deadline - time.monotonic()))
        is_over = not killed or time.monotonic() >= deadline
    _, stuck = psutil.wait_procs(trackers, timeout=_TRACKER_TIMEOUT_S)
    _kill(stuck)
    psutil.wait_procs(stuck, timeout=_KILL_TIMEOUT_S)
    victims |= {process.pid: process for process in stuck}
    return list(victims), [pid for pid, process in victims.items() if is_running(process)]


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
