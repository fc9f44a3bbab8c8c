"""Checkpoint files of one scenario: which there were, how many steps each holds, which one a process took.

A file counts from the moment when its writer closed it or renamed it into place. How many steps it holds is what its
writer had done when it began to write, counted since training began.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

import msgspec

from launch.records import Load, Rename, Save
from launch.trajectory import Trajectory

_DIGITS = re.compile(r"\d+")


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One complete file."""

    path: str
    step: int
    """Steps done when it was written: in its process, or since training began."""
    rank: int
    incarnation: int
    is_settled: bool
    """Its writer did something else afterwards, so that whatever belongs to the checkpoint (a pointer to the latest,
    a marker) was written too."""

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
    begun: dict[str, int] = {}
    moved: list[tuple[str, int, int]] = []
    for record in process.records:
        match record:
            case Save(phase="begin"):
                begun[record.path] = record.sequence
            case Save(phase="end"):
                moved.append((record.path, begun.get(record.path, record.sequence), record.sequence))
            case Rename():
                moved = list(_rename(moved, record))
    last = process.records[-1].sequence
    return tuple(
        Checkpoint(
            path=path,
            step=first_step + bisect_left(lines, begin + 1),
            rank=process.rank,
            incarnation=process.incarnation,
            is_settled=end < last,
        )
        for path, begin, end in moved
        if path
    )


def loaded_by(trajectory: Trajectory) -> tuple[str, ...]:
    """Files that a process read before its first step, in order; "" for one without a name."""
    first = trajectory.steps[0].line if trajectory.steps else float("inf")
    return tuple(r.path for r in trajectory.process.records if isinstance(r, Load) and r.sequence + 1 < first)


def _rename(files: list[tuple[str, int, int]], rename: Rename) -> Iterator[tuple[str, int, int]]:
    """The files under their new names: the file itself, or all in a folder; one that nobody saw written is new."""
    is_known = False
    for path, begin, end in files:
        if path == rename.source or path.startswith(rename.source + "/"):
            is_known = True
            yield rename.target + path[len(rename.source) :], begin, rename.sequence
        else:
            yield path, begin, end
    if not is_known:
        yield rename.target, rename.sequence, rename.sequence
