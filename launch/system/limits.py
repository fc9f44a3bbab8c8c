"""How much of something the system gives: what cannot be had is refused before anything starts."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

_PID_MAX = Path("/proc/sys/kernel/pid_max")
_PIDS_MAX = Path("/sys/fs/cgroup/pids.max")
NODE_FILES, RANK_FILES = 16, 6
"""Files that a node has open at least, and those that it opens at least for each rank: pipes, logs, connections."""


def too_many_ranks(num: int) -> str | None:
    """Why no node of this machine can have so many ranks, whatever they run; None if nothing is known to forbid it."""
    most = _most_processes()
    if num >= most:
        return f"this machine allows {most} processes"
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= files < NODE_FILES + RANK_FILES * num:
        return f"a process may open {files} files, and needs more for so many; raise it with `ulimit -n`"
    return None


def _most_processes() -> int:
    """The least of all limits."""
    limits = [resource.getrlimit(resource.RLIMIT_NPROC)[0]]
    for file in (_PID_MAX, _PIDS_MAX):
        with contextlib.suppress(OSError, ValueError):  # no such file, or the word `max`
            limits.append(int(file.read_text()))
    return min([limit for limit in limits if limit >= 0], default=1 << 22)
