"""Which checkpoints were written and read, and which of those that were written a process has read.

Content tells it (`reading/saves.py`), and where that is of no save the path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from resumable.launch.evidence.rank_records import Load
from resumable.launch.evidence.written_files import files_in
from resumable.launch.reading.checkpoints import is_within
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.saves import Saved, sources


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A complete checkpoint."""

    path: str
    rank: int
    incarnation: int
    host: str
    step: int
    """Steps since training began that were done when it was begun."""
    begin: int
    """Line (`sequence`) in the evidence of its process."""
    begin_ns: int
    end_ns: int
    """When it was whole under its name."""


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint was loaded."""

    path: str
    rank: int
    incarnation: int
    step: int
    """Steps since training began that were done then: of a process that has just started, where it went on."""
    time_ns: int
    source: Written | None
    """What was read; None where this run wrote no such thing."""


class Handovers(msgspec.Struct, frozen=True, kw_only=True):
    """All checkpoints of one run, in the order of (incarnation, rank, line)."""

    written: tuple[Written, ...]
    read: tuple[Read, ...]


def handovers_of(run: Run) -> Handovers:
    """What the processes of a run wrote and read.

    What was read is the newest that an earlier incarnation wrote, or its own before, with that content, or else under
    that path: the rank's own, if it wrote there too, as each rank does of a sharded checkpoint. A file that was renamed into
    place and that nobody saw written counts only if it was read: it may be anything.
    """
    files = [(written, is_saved) for life in run.lives for written, is_saved in _written(life)]
    everything = [written for written, _ in files]
    read = tuple(one for incarnation in run.history.incarnations for one in _read(run, incarnation, everything))
    read_again = {one.source for one in read}
    kept = tuple(written for written, is_saved in files if is_saved or written in read_again)
    return Handovers(written=kept, read=read)


def _written(life: Life) -> Iterator[tuple[Written, bool]]:
    records = life.process.records
    for file in files_in(life.process.events):
        if file.path:
            yield (
                Written(
                    path=file.path,
                    rank=life.rank,
                    incarnation=life.incarnation,
                    host=life.process.start.host,
                    step=life.first_step + life.trajectory.num_steps_before(file.begin),
                    begin=file.begin,
                    begin_ns=records[file.begin].time_ns,
                    end_ns=records[file.end].time_ns,
                ),
                file.is_saved,
            )


def _read(run: Run, incarnation: int, written: Sequence[Written]) -> Iterator[Read]:
    group = run.group(incarnation)
    saved = [one for one in run.saved if one.incarnation <= incarnation]
    by_load = sources([life.trajectory for life in group], saved)
    for life in group:
        for record in life.process.events:
            if isinstance(record, Load):
                yield Read(
                    path=record.path,
                    rank=life.rank,
                    incarnation=incarnation,
                    step=life.first_step + life.trajectory.num_steps_before(record.sequence),
                    time_ns=record.time_ns,
                    source=_source(record, life, written, by_load.get((life.rank, record.sequence), ())),
                )


def _source(load: Load, life: Life, written: Sequence[Written], saved: Iterable[Saved]) -> Written | None:
    before = [one for one in written if _is_before(one, load, life)]
    begins = {(one.incarnation, one.rank, one.begin) for one in saved}
    alike = [one for one in before if (one.incarnation, one.rank, one.begin) in begins]
    there = [one for one in alike or before if load.path and _is_there(one, load)]
    return max(there or alike, key=lambda one: (one.incarnation, one.rank == life.rank, one.end_ns), default=None)


def _is_before(one: Written, load: Load, life: Life) -> bool:
    """Within an incarnation the clock tells it, which two machines do not share."""
    if one.incarnation != life.incarnation:
        return one.incarnation < life.incarnation
    return one.host == life.process.start.host and one.end_ns <= load.time_ns


def _is_there(one: Written, load: Load) -> bool:
    return is_within(load.path, one.path) or is_within(one.path, load.path)
