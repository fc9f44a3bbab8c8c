"""What the kernel knows of parents and children: a process ends with its parent, or sees to all that is below it.

Every command begins here, and most start nothing: what looks at processes is loaded where there are any.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Collection, Iterator

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it ends.

    A parent that died before the call is not noticed by the kernel; the caller looks at `os.getppid()` where that matters.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ends; from then on `reap_adopted` is needed."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_adopted(own: Collection[int]) -> None:
    """Let adopted children that have ended go; costs a system call where there is none.

    Args:
        own: Children that this process has started and that somebody here waits for: whoever takes the end of such a child
            leaves `subprocess` with exit code 0. Behind one of these that has ended no other is seen.
    """
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in own:
            os.waitpid(ended.si_pid, 0)


@contextlib.contextmanager
def leaving_none_behind() -> Iterator[None]:
    """Kill in the end what has come to be below this process meanwhile, also what a node that was killed has left.

    It is for a process of our own: in somebody else's, other threads may start processes that are none of our business.
    """
    before = _pids_below()
    adopt_orphans()
    try:
        yield
    finally:
        if _has_children():
            from resumable.launch.system.processes import kill_below  # noqa: PLC0415 - psutil takes a while

            kill_below(spared=before)


def _pids_below() -> frozenset[int]:
    if not _has_children():
        return frozenset()
    from resumable.launch.system.processes import pids_below  # noqa: PLC0415 - psutil takes a while

    return pids_below()


def _has_children() -> bool:
    """Whether there is any, living or not; without one nothing is below a process that adopts orphans."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
