"""Is anything of earlier jobs still running?"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from resumable.launch.doctor.finding import Finding, ok, warn
from resumable.launch.doctor.probe import Subject
from resumable.launch.system.environment import tag_of
from resumable.launch.system.processes import is_running

MAX_SHOWN = 8

_NODE = "resumable.launch.node"


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """A live process that a node of ours started, or a node itself."""

    pid: int
    tag: str
    is_node: bool


def leftovers(_subject: Subject) -> Finding:
    """Which processes carry the tag of a node that is gone?"""
    return judge_leftovers(_tagged())


def judge_leftovers(processes: Sequence[Tagged]) -> Finding:
    """Decide from all tagged processes: those whose node lives belong to a job that runs now."""
    living = {process.tag for process in processes if process.is_node}
    lost = sorted(process.pid for process in processes if process.tag not in living)
    if not lost:
        running = f"; {len(living)} running now" if living else ""
        return ok("leftovers", f"no process of an earlier job{running}")
    shown = " ".join(map(str, lost[:MAX_SHOWN])) + (" ..." if len(lost) > MAX_SHOWN else "")
    meaning = f"{len(lost)} of an earlier job still run and hold memory, ports and perhaps files"
    return warn("leftovers", meaning, f"kill -9 {shown}")


def _tagged() -> list[Tagged]:
    """Every process with a tag whose environment may be read: at least the user's own."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            tag = tag_of(process.environ())
            if tag is not None and is_running(process):
                found.append(Tagged(pid=process.pid, tag=tag, is_node=_NODE in process.cmdline()))
    return found
