"""Checkpoint files of one scenario: which there were, how many steps each holds, which one a process took.

A file counts from the moment when its writer closed it or renamed it into place. How many steps it holds is what its
writer had done when it began to write, counted since training began.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

import msgspec

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import AnyRecord, FaultFired, Remove, Save
from resumable.launch.evidence.written_files import files_in
from resumable.launch.plan.fault_kinds import CHECKPOINT_DAMAGE
from resumable.launch.reading.trajectory import Trajectory

_DIGITS = re.compile(r"\d+")


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One complete file, or folder of `torch.distributed.checkpoint`; of that, what one rank wrote."""

    path: str
    step: int
    """Steps done when it was written: in its process, or since training began."""
    rank: int
    incarnation: int
    is_saved: bool
    """`torch.save` wrote it; a file that was only renamed into place may be anything, a log for example."""
    is_settled: bool
    """Its writer did something else afterwards, so that whatever belongs to the checkpoint (a pointer to the latest,
    a marker) was written too. What the training loop did not wait for is settled once the next one was begun: until then
    it may not have asked whether it is done."""
    is_step_sure: bool = True
    """No thread of the job wrote it, which may have been handed its state some steps before."""
    is_half_overwritten: bool = False
    """Its writer died while it wrote the next one over it."""
    removed_before: int | None = None
    """The first incarnation for which it was gone, because a process of the job removed it; None if it stayed."""
    num_accumulated: int = 0
    """Batches that had had their backward pass when it was begun, and whose optimizer step was still to come."""

    @property
    def series(self) -> str:
        """Name of the series that it belongs to."""
        return series_of(self.path)


def series_of(path: str) -> str:
    """Name of the series: `step-15.ckpt` and `step-20.ckpt` are of one, `best.pt` is not.

    Nothing but its name says of a file which others the job would load in its place.
    """
    return _DIGITS.sub("#", path)


def written_by(trajectory: Trajectory, first_step: int, num_carried: int = 0) -> tuple[Checkpoint, ...]:
    """Complete files of one process, in order; a file written again stands there again.

    Args:
        trajectory: what the process trained on.
        first_step: steps done since training began when the process started to train.
        num_carried: batches whose gradients it had from a checkpoint.
    """
    process = trajectory.process
    last = _last_deed(process)
    unfinished = _begun_only(process.events)
    last_begun = {series_of(r.path): r.sequence for r in process.events if isinstance(r, Save) and r.phase == "begin"}
    return tuple(
        Checkpoint(
            path=file.path,
            step=first_step + trajectory.num_steps_before(file.begin),
            rank=process.rank,
            incarnation=process.incarnation,
            is_saved=file.is_saved,
            is_settled=file.end < (last if file.writer == "loop" else last_begun[series_of(file.first_path)]),
            is_step_sure=file.writer != "thread",
            is_half_overwritten=file.path in unfinished,
            removed_before=process.incarnation + 1 if file.is_removed else None,
            num_accumulated=_num_open(trajectory, file.begin, num_carried),
        )
        for file in files_in(process.events)
        if file.path
    )


def _last_deed(process: Process) -> int:
    """Line (`sequence`) of the last thing that a process did by itself."""
    faults = {record.sequence for record in process.events if isinstance(record, FaultFired)}
    return next(number for number in reversed(range(len(process.records))) if number not in faults)


def _num_open(trajectory: Trajectory, sequence: int, num_carried: int) -> int:
    """Batches that had had their backward pass and whose step was still to come, when a record was written."""
    step = trajectory.num_steps_before(sequence)
    is_done = step < len(trajectory.steps)
    batches = trajectory.steps[step].batches if is_done else trajectory.unfinished
    num_own = sum(batch.backward_line is not None and batch.backward_line <= sequence for batch in batches)
    return num_own + (num_carried if step == 0 else 0)


def _begun_only(records: Iterable[AnyRecord]) -> set[str]:
    """Paths that a process began to write and never finished."""
    begun: set[str] = set()
    for record in records:
        if isinstance(record, Save):
            (begun.add if record.phase == "begin" else begun.discard)(record.path)
    return begun


def is_within(file: str, checkpoint: str) -> bool:
    """Whether a file is the checkpoint, or lies in it where that is a folder."""
    return PurePath(file).is_relative_to(checkpoint)


def damaged_by(trajectory: Trajectory) -> frozenset[str]:
    """Files of checkpoints that a fault damaged after they were whole."""
    events = trajectory.process.events
    return frozenset(r.path for r in events if isinstance(r, FaultFired) and r.kind in CHECKPOINT_DAMAGE)


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """A process removed a file or a folder."""

    path: str
    rank: int
    incarnation: int
    gone_before: int
    """The first incarnation that cannot go on from it: that of the process itself, if it had not begun to train."""


def removed_by(trajectory: Trajectory) -> tuple[Removal, ...]:
    """What a process removed, in order."""
    process = trajectory.process
    return tuple(
        Removal(
            path=record.path,
            rank=process.rank,
            incarnation=process.incarnation,
            gone_before=process.incarnation + (not trajectory.precedes_training(record)),
        )
        for record in process.events
        if isinstance(record, Remove)
    )


def unless_removed(checkpoint: Checkpoint, removed: Iterable[Removal]) -> Checkpoint:
    """The checkpoint, marked if a process removed it; what its own writer removed is known of it already, in its order.

    Args:
        checkpoint: Of the group of these removals, or of an earlier one.
        removed: By one group.
    """
    writer = (checkpoint.incarnation, checkpoint.rank)
    others = (one for one in removed if (one.incarnation, one.rank) != writer)
    gone = [one.gone_before for one in others if is_within(checkpoint.path, one.path)]
    known = [] if checkpoint.removed_before is None else [checkpoint.removed_before]
    return msgspec.structs.replace(checkpoint, removed_before=min(gone + known, default=None))
