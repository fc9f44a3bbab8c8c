"""What became of saves after they were written: who read them whole, what damaged them, who removed or renamed them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import FaultFired, Remove, Rename
from resumable.launch.evidence.written_files import places_of
from resumable.launch.plan.fault_kinds import CHECKPOINT_DAMAGE
from resumable.launch.reading.saves import Saved, series_of
from resumable.launch.reading.trajectory import Trajectory


def after(saved: Iterable[Saved], group: Sequence[Trajectory]) -> Iterator[Saved]:
    """What became of saves while a group of processes ran: they read them; faults damage them; others remove them.

    Args:
        saved: By these processes and by earlier ones.
        group: The processes of one incarnation.
    """
    read = {(load.path, frozenset(load.fingerprints.items())) for one in group for load in one.loads}
    damaged: set[str] = set()
    removed: dict[str, list[tuple[Process, int]]] = {}
    """By path: who removed it, and the first incarnation that cannot go on from it any more."""
    for one in group:
        for record in one.process.events:
            if isinstance(record, FaultFired) and record.kind in CHECKPOINT_DAMAGE:
                damaged.update(places_of(record.path))
            elif isinstance(record, Remove):
                number = one.process.incarnation + (not one.precedes_training(record))
                removed.setdefault(record.path, []).append((one.process, number))
    for save in saved:
        known = [] if save.removed_before is None else [save.removed_before]
        gone = [  # what its own writer removed is known already, in its order
            number
            for place in places_of(save.path)
            for process, number in removed.get(place, ())
            if process is not save.process
        ]
        is_read = save.is_open and (save.path, frozenset(save.content.items())) in read and bool(save.content)
        is_damaged = save.path in damaged
        if not (gone or is_read or is_damaged):
            yield save
            continue
        yield msgspec.structs.replace(
            save,
            was_read_whole=save.was_read_whole or is_read,
            is_damaged=save.is_damaged or is_damaged,
            removed_before=min(gone + known, default=None),
        )


def in_place(saved: Iterable[Saved], processes: Iterable[tuple[Trajectory, int]]) -> Iterator[Saved]:
    """All saves of a run under the names by which they are loaded.

    A folder to which several ranks write is renamed by one of them once all have: the files of the others go along, and
    what never got such a name is no checkpoint.

    Args:
        saved: Of all processes.
        processes: All of them, each with the steps that its rank had done when it started to train.
    """
    movers: dict[str, set[int]] = {}
    moves: dict[tuple[int, str], list[tuple[int, str]]] = {}
    for one, first_step in processes:
        for move in one.process.events:
            if isinstance(move, Rename):
                movers.setdefault(series_of(move.source), set()).add(one.process.rank)
                step = first_step + one.num_steps_before(move.sequence)
                moves.setdefault((one.process.incarnation, move.source), []).append((step, move.target))
    for save in saved:
        folders = islice(places_of(save.path), 1, None) if movers else ()
        folder = next((one for one in folders if movers.get(series_of(one), set()) - {save.rank}), None)
        if folder is None:
            yield save
            continue
        later = [move for move in moves.get((save.incarnation, folder), ()) if move >= (save.step, "")]
        path = min(later)[1] + save.path[len(folder) :] if later else save.path
        yield msgspec.structs.replace(save, path=path, is_in_place=bool(later))
