"""What became of the checkpoints that a process could not go on from."""

from __future__ import annotations

from collections.abc import Iterable

from launch.faults import CHECKPOINT_DAMAGE
from launch.records import AnyRecord, FaultFired, Rename, Save
from launch.timeline import Run

BESIDE = "write beside it, then rename"


def why_unreadable(run: Run, incarnation: int) -> str | None:
    """Why a process of this incarnation may have found no checkpoint that it could read; None if nothing explains it.

    A process that trained was able to go on: whatever ended it, it was not that.
    """
    own = [life for life in run.lives if life.incarnation == incarnation]
    if incarnation == 0 or any(life.steps for life in own):
        return None
    earlier = [life.trajectory.process.records for life in run.lives if life.incarnation < incarnation]
    half = [path for records in earlier for path in half_written(records)]
    if half:
        return f"{half[-1]} was left half written: {BESIDE}"
    fired = [line for records in earlier for line in records if isinstance(line, FaultFired)]
    damage = next((line for line in reversed(fired) if line.kind in CHECKPOINT_DAMAGE), None)
    return f"{damage.path} was damaged ({damage.kind}): load what is whole, or else the one before" if damage else None


def half_written(records: Iterable[AnyRecord]) -> list[str]:
    """Files that one process left so under the name by which they are loaded: one that is renamed is not there yet."""
    open_: dict[str, None] = {}
    temporary: set[str] = set()
    for record in records:
        if isinstance(record, Rename):
            temporary.add(record.source)
        elif isinstance(record, Save) and record.phase == "begin":
            open_[record.path] = None
        elif isinstance(record, Save):
            open_.pop(record.path, None)
    return [path for path in open_ if path and path not in temporary]
