"""Checkpoint files of one scenario: which there were, how many steps each holds, which one a process took.

A file counts from the moment when its writer closed it or renamed it into place. How many steps it holds is what its
writer had done when it began to write, counted since training began.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from launch.faults import CHECKPOINT_DAMAGE
from launch.files import files_in
from launch.records import AnyRecord, FaultFired, Load, Save
from launch.trajectory import Trajectory

_DIGITS = re.compile(r"\d+")


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One complete file."""

    path: str
    step: int
    """Steps done when it was written: in its process, or since training began."""
    rank: int
    incarnation: int
    is_saved: bool
    """`torch.save` wrote it; a file that was only renamed into place may be anything, a log for example."""
    is_settled: bool
    """Its writer did something else afterwards, so that whatever belongs to the checkpoint (a pointer to the latest,
    a marker) was written too."""
    is_half_overwritten: bool = False
    """Its writer died while it wrote the next one over it."""

    @property
    def series(self) -> str:
        """Name of the series: `step-15.ckpt` and `step-20.ckpt` are of one, `best.pt` is not."""
        return _DIGITS.sub("#", self.path)


def written_by(trajectory: Trajectory, first_step: int) -> tuple[Checkpoint, ...]:
    """Complete files of one process, in order; a file written again stands there again.

    Args:
        trajectory: what the process trained on.
        first_step: steps done since training began when the process started to train.
    """
    process = trajectory.process
    lines = [step.line for step in trajectory.steps]
    last = process.records[-1].sequence
    unfinished = _begun_only(process.records)
    return tuple(
        Checkpoint(
            path=file.path,
            step=first_step + bisect_left(lines, file.begin + 1),
            rank=process.rank,
            incarnation=process.incarnation,
            is_saved=file.is_saved,
            is_settled=file.end < last,
            is_half_overwritten=file.path in unfinished,
        )
        for file in files_in(process.records)
        if file.path
    )


def _begun_only(records: Iterable[AnyRecord]) -> set[str]:
    """Paths that a process began to write and never finished."""
    begun: set[str] = set()
    for record in records:
        if isinstance(record, Save):
            (begun.add if record.phase == "begin" else begun.discard)(record.path)
    return begun


def damaged_by(trajectory: Trajectory) -> frozenset[str]:
    """Paths of checkpoints that a fault damaged after they were whole."""
    records = trajectory.process.records
    return frozenset(r.path for r in records if isinstance(r, FaultFired) and r.kind in CHECKPOINT_DAMAGE)


def loaded_by(trajectory: Trajectory) -> tuple[str, ...]:
    """Files that a process read before its first step, in order; "" for one without a name."""
    first = trajectory.steps[0].line if trajectory.steps else float("inf")
    return tuple(r.path for r in trajectory.process.records if isinstance(r, Load) and r.sequence + 1 < first)
