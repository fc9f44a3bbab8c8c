"""Checkpoint files of one scenario: which there were, how many steps each holds, which one a process took.

A file counts from the moment when its writer closed it or renamed it into place. How many steps it holds is what its
writer had done when it began to write, counted since training began.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from launch.records import AnyRecord, Load, Rename, Save
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
    return tuple(
        Checkpoint(
            path=file.path,
            step=first_step + bisect_left(lines, file.begin + 1),
            rank=process.rank,
            incarnation=process.incarnation,
            is_saved=file.is_saved,
            is_settled=file.end < last,
        )
        for file in _files(process.records)
        if file.path
    )


def loaded_by(trajectory: Trajectory) -> tuple[str, ...]:
    """Files that a process read before its first step, in order; "" for one without a name."""
    first = trajectory.steps[0].line if trajectory.steps else float("inf")
    return tuple(r.path for r in trajectory.process.records if isinstance(r, Load) and r.sequence + 1 < first)


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """A complete file: when it was begun, and when it was whole under its name."""

    path: str
    """"" for a buffer in memory."""
    begin: int
    end: int
    is_saved: bool = True


def _files(records: Iterable[AnyRecord]) -> list[_File]:
    begun: dict[str, int] = {}
    files: list[_File] = []
    for record in records:
        match record:
            case Save(phase="begin"):
                begun[record.path] = record.sequence
            case Save(phase="end"):
                begin = begun.get(record.path, record.sequence)
                files.append(_File(path=record.path, begin=begin, end=record.sequence))
            case Rename():
                files = list(_renamed(files, record))
    return files


def _renamed(files: Sequence[_File], rename: Rename) -> Iterator[_File]:
    """The files under their new names: the file itself, or all in a folder.

    A file that nobody saw written is what was last saved to a buffer, if there is such, and else something unknown.
    """
    inside = rename.source + "/"
    moved = [file for file in files if file.path == rename.source or file.path.startswith(inside)]
    if not moved:
        moved = [file for file in files if not file.path][-1:]
    yield from (file for file in files if file not in moved)
    for file in moved:
        path = rename.target + file.path[len(rename.source) :] if file.path else rename.target
        yield msgspec.structs.replace(file, path=path, end=rename.sequence)
    if not moved:
        yield _File(path=rename.target, begin=rename.sequence, end=rename.sequence, is_saved=False)
