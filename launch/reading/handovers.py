"""Which checkpoints were written and read, and which of those that were written a process has read.

Equal content tells it, where it was recorded; else the path does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.rank_records import AnyRecord, Load, Save
from resumable.launch.evidence.written_files import files_in
from resumable.launch.reading.checkpoints import is_within
from resumable.launch.reading.lives import Life, Run

Content = tuple[tuple[str, Fingerprint], ...]
"""Fingerprints of a checkpoint, by its keys, in order."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A complete checkpoint."""

    path: str
    rank: int
    incarnation: int
    host: str
    step: int
    """Steps since training began that were done when it was begun."""
    begin_ns: int
    end_ns: int
    """When it was whole under its name."""
    content: Content = ()
    """Where it was recorded."""


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

    What was read is the newest that an earlier incarnation wrote, or its own before, with the same content, or else under
    that path: the rank's own, if it wrote there too, as each rank does of a sharded checkpoint. A file that was renamed into
    place and that nobody saw written counts only if it was read: it may be anything.
    """
    files = [(written, is_saved) for life in run.lives for written, is_saved in _written(life)]
    everything = [written for written, _ in files]
    read = tuple(one for life in run.lives for one in _read(life, everything))
    sources = {one.source for one in read}
    kept = tuple(written for written, is_saved in files if is_saved or written in sources)
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
                    begin_ns=records[file.begin].time_ns,
                    end_ns=records[file.end].time_ns,
                    content=_content(records[file.begin]),
                ),
                file.is_saved,
            )


def _read(life: Life, written: Sequence[Written]) -> Iterator[Read]:
    for record in life.process.events:
        if isinstance(record, Load):
            yield Read(
                path=record.path,
                rank=life.rank,
                incarnation=life.incarnation,
                step=life.first_step + life.trajectory.num_steps_before(record.sequence),
                time_ns=record.time_ns,
                source=_source(record, life, written),
            )


def _content(record: AnyRecord) -> Content:
    return tuple(sorted(record.fingerprints.items())) if isinstance(record, Save | Load) else ()


def _source(load: Load, life: Life, written: Sequence[Written]) -> Written | None:
    before = [one for one in written if _is_before(one, load, life)]
    content = _content(load)
    alike = [one for one in before if content and one.content == content]
    there = [one for one in alike or before if load.path and _is_there(one, load)]
    return max(there or alike, key=lambda one: (one.incarnation, one.rank == life.rank, one.end_ns), default=None)


def _is_before(one: Written, load: Load, life: Life) -> bool:
    """Within an incarnation the clock tells it, which two machines do not share."""
    if one.incarnation != life.incarnation:
        return one.incarnation < life.incarnation
    return one.host == life.process.start.host and one.end_ns <= load.time_ns


def _is_there(one: Written, load: Load) -> bool:
    return is_within(load.path, one.path) or is_within(one.path, load.path)
