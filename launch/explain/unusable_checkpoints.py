"""What became of the checkpoints that a process could not go on from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from resumable.launch.evidence.rank_records import AnyRecord, FaultFired, Load, Rename, Save
from resumable.launch.explain.codes.resume import CheckpointDamaged, HalfWritten
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.plan.fault_kinds import CHECKPOINT_DAMAGE
from resumable.launch.reading.checkpoints import is_within, series_of
from resumable.launch.reading.lives import Life, Run


def why_unreadable(run: Run, incarnation: int) -> Reason | None:
    """Why a process of this incarnation may have found no checkpoint that it could read; None if nothing explains it.

    A process that trained was able to go on: whatever ended it, it was not that.
    """
    if incarnation == 0 or any(life.steps for life in run.group(incarnation)):
        return None
    earlier = [life.process.events for life in run.lives if life.incarnation < incarnation]
    half = [path for events in earlier for path in half_written(events)] or _folders_in_part(run, before=incarnation)
    if half:
        return HalfWritten(path=half[-1])
    damages = _damages(run, before=incarnation)
    return _damage(damages[-1]) if damages else None


def why_wrong(run: Run, life: Life) -> Reason | None:
    """What was done to the checkpoint that a process went on from, if nobody wrote it again; None if it was whole."""
    whole = {checkpoint.path for checkpoint in run.checkpoints if checkpoint.incarnation < life.incarnation}
    loaded = [path for path in life.trajectory.loaded if path and path not in whole]
    taken = [d for d in _damages(run, before=life.incarnation) for path in loaded if is_within(d.path, path)]
    return _damage(taken[-1]) if taken else None


def _damages(run: Run, *, before: int) -> list[FaultFired]:
    """What was done to checkpoints before an incarnation, the latest last."""
    earlier = [life.process.events for life in run.lives if life.incarnation < before]
    fired = [event for events in earlier for event in events if isinstance(event, FaultFired)]
    return [line for line in fired if line.kind in CHECKPOINT_DAMAGE]


def _damage(damage: FaultFired) -> CheckpointDamaged:
    return CheckpointDamaged(path=damage.path, fault=damage.kind)


def disturbed_readings(run: Run) -> frozenset[int]:
    """Incarnations in which a fault came just when a checkpoint had been read, and the rank survived it.

    A job that takes the error for the file's, and an older file instead, has done what it could.
    """
    return frozenset(
        firing.life.incarnation
        for firing in run.firings
        if firing.was_survived and isinstance(firing.record_before, Load)
    )


def _folders_in_part(run: Run, *, before: int) -> list[str]:
    """Folders with less in them than others of their series: a rank was stopped before it had written its part.

    Of the incarnation that wrote to it last: another one may have had fewer ranks.
    """
    written: dict[str, tuple[int, set[tuple[int, str]]]] = {}
    whole: dict[tuple[int, str], set[tuple[int, str]]] = {}
    renamed: set[str] = set()
    for life in sorted(run.lives, key=lambda life: life.incarnation):
        for record in life.process.events if life.incarnation < before else ():
            if isinstance(record, Rename):
                renamed.add(series_of(record.source))
            elif isinstance(record, Save) and record.phase == "end" and record.path:
                path = PurePath(record.path)
                folder, file = str(path.parent), (life.rank, series_of(path.name))
                if written.setdefault(folder, (life.incarnation, set()))[0] != life.incarnation:
                    written[folder] = (life.incarnation, set())
                written[folder][1].add(file)
                whole.setdefault((life.incarnation, series_of(folder)), set()).add(file)
    return [
        folder
        for folder, (incarnation, files) in written.items()
        if files < whole[incarnation, series_of(folder)] and series_of(folder) not in renamed
    ]


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
