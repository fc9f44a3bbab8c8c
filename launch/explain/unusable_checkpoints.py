"""What became of the checkpoints that a process could not go on from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from resumable.launch.evidence.rank_records import FaultFired, Load
from resumable.launch.explain.codes.resume import CheckpointDamaged, HalfWritten
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.plan.fault_kinds import CHECKPOINT_DAMAGE
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.saves import Saved, is_within, series_of


def why_unreadable(run: Run, incarnation: int) -> Reason | None:
    """Why a process of this incarnation may have found no checkpoint that it could read; None if nothing explains it.

    A process that trained was able to go on: whatever ended it, it was not that.
    """
    if incarnation == 0 or any(life.steps for life in run.group(incarnation)):
        return None
    earlier = run.saved_before(incarnation)
    half = [one.file.first_path for one in earlier if one.is_half_written] or _folders_in_part(earlier)
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


def _folders_in_part(saved: Iterable[Saved]) -> list[str]:
    """Folders with less in them than others of their series: a rank was stopped before it had written its part.

    Of the incarnation that wrote to it last: another one may have had fewer ranks.
    """
    parts: dict[str, dict[int, set[tuple[int, str]]]] = {}
    whole: dict[tuple[int, str], set[tuple[int, str]]] = {}
    for one in saved:
        if one.file.is_saved and one.file.is_checkpoint and one.is_in_place:
            folder, file = str(PurePath(one.path).parent), (one.rank, series_of(PurePath(one.path).name))
            parts.setdefault(folder, {}).setdefault(one.incarnation, set()).add(file)
            whole.setdefault((one.incarnation, series_of(folder)), set()).add(file)
    return [folder for folder, own in parts.items() if own[max(own)] < whole[max(own), series_of(folder)]]
