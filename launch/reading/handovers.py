"""Which of the saves of a run a process read again: equal content tells, and where that is of no save the path."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TypeVar

import msgspec

from resumable.launch.evidence.fingerprints import merged
from resumable.launch.evidence.rank_records import Load
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.saves import Content, Saved, is_within
from resumable.launch.reading.trajectory import Trajectory

T = TypeVar("T")


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint was loaded."""

    path: str
    rank: int
    incarnation: int
    step: int
    """Steps since training began that were done then: of a process that has just started, where it went on."""
    time_ns: int
    source: Saved | None
    """What was read; None where this run wrote no such thing."""


class Handovers(msgspec.Struct, frozen=True, kw_only=True):
    """All checkpoints of one run, in the order of (incarnation, rank, line)."""

    written: tuple[Saved, ...]
    read: tuple[Read, ...]


def handovers_of(run: Run) -> Handovers:
    """What the processes of a run wrote and read.

    What was read is the newest that an earlier incarnation wrote, or its own before, with that content, or else under
    that path: the rank's own, if it wrote there too, as each rank does of a sharded checkpoint. A file that was renamed into
    place and that nobody saw written counts only if it was read: it may be anything.
    What comes from no file and from no save is no checkpoint: ranks send one another objects that way.
    """
    files = [one for one in run.saved if one.file.is_checkpoint]
    read = tuple(
        one
        for incarnation in run.history.incarnations
        for one in _read(run, incarnation, files)
        if one.path or one.source is not None
    )
    read_again = {one.source.place for one in read if one.source is not None}
    return Handovers(
        written=tuple(one for one in files if one.file.is_saved or one.place in read_again),
        read=read,
    )


def saves_read(group: Sequence[Trajectory], saved: Iterable[Saved]) -> tuple[Saved, ...]:
    """Those saves that the ranks of a group read before they trained, the oldest first."""
    loads = {(one.process.rank, r.sequence) for one in group for r in one.process.events if one.precedes_training(r)}
    found = {
        (one.moment, one.rank, one.file.begin): one
        for load, saves in sources(group, saved).items()
        if load in loads
        for one in saves
    }
    return tuple(found[place] for place in sorted(found))


def sources(group: Sequence[Trajectory], saved: Iterable[Saved]) -> dict[tuple[int, int], tuple[Saved, ...]]:
    """Which saves the ranks of a group read, as content tells: those with most of what was read.

    A checkpoint may lie in several files, each read by itself, and a part of it may be damaged. A single number that is
    equal shows nothing, nor does what is equal in all of several saves, as weights are that nobody trains.

    Args:
        group: The processes of one incarnation.
        saved: What may be the source.

    Returns:
        By rank and line (`sequence`) of what was read; without what is of no save.
    """
    saves = _wholes((((one.moment, frozenset(one.content)), one.rank), one.content, one) for one in saved)
    reads = _wholes(
        ((frozenset(r.fingerprints), one.process.rank), r.fingerprints, (one.process.rank, r.sequence))
        for one in group
        for r in one.process.events
        if isinstance(r, Load) and r.fingerprints
    )
    return {load: found for content, loads in reads if (found := _sources(content, saves)) for load in loads}


def _sources(content: Content, saves: Sequence[tuple[Content, Sequence[Saved]]]) -> tuple[Saved, ...]:
    scored = [(_num_equal(content, save[0]), save) for save in saves if save[0].keys() & content.keys()]
    best = max((score for score, _ in scored), default=(False, 0))
    alike = [save for score, save in scored if score == best]
    is_told = best[0] and (len(alike) < len(scored) or all(other == alike[0][0] for other, _ in alike))
    return tuple(one for _, own in alike for one in own) if is_told else ()


def _wholes(parts: Iterable[tuple[tuple[Hashable, int], Content, T]]) -> list[tuple[Content, list[T]]]:
    """Whole contents: of what is spread over ranks the n-th of each rank together; else each rank's own.

    Args:
        parts: Each with what those share that may belong together, its rank, and its content.
    """
    by_rank: dict[Hashable, dict[int, list[tuple[Content, T]]]] = {}
    for (kind, rank), content, part in parts:
        by_rank.setdefault(kind, {}).setdefault(rank, []).append((content, part))
    wholes: list[tuple[Content, list[T]]] = []
    for own in by_rank.values():
        is_spread = any(one.part for parts in own.values() for content, _ in parts for one in content.values())
        together = zip_longest(*own.values()) if is_spread else ([one] for parts in own.values() for one in parts)
        wholes += [_whole([one for one in shards if one is not None]) for shards in together]
    return wholes


def _whole(shards: Sequence[tuple[Content, T]]) -> tuple[Content, list[T]]:
    first, *others = (content for content, _ in shards)
    content = {key: merged(one, (other[key] for other in others)) for key, one in first.items()}
    return content, [part for _, part in shards]


def _num_equal(content: Content, other: Content) -> tuple[bool, int]:
    """Whether more than a number is equal, and the elements of all keys under which both have the same."""
    sizes = [one.num_whole + one.num_part for key, one in content.items() if other.get(key) == one]
    return max(sizes, default=0) > 1, sum(sizes)


def _read(run: Run, incarnation: int, written: Sequence[Saved]) -> Iterator[Read]:
    group = run.group(incarnation)
    by_load = sources([life.trajectory for life in group], run.saved_before(incarnation + 1))
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


def _source(load: Load, life: Life, written: Sequence[Saved], saved: Iterable[Saved]) -> Saved | None:
    before = [one for one in written if _is_before(one, load, life)]
    places = {one.place for one in saved}
    alike = [one for one in before if one.place in places]
    there = [one for one in alike or before if load.path and _is_there(one, load)]
    return max(there or alike, key=lambda one: (one.incarnation, one.rank == life.rank, one.end_ns), default=None)


def _is_before(one: Saved, load: Load, life: Life) -> bool:
    """Within an incarnation the clock tells it, which two machines do not share."""
    if one.incarnation != life.incarnation:
        return one.incarnation < life.incarnation
    return one.process.start.host == life.process.start.host and one.end_ns <= load.time_ns


def _is_there(one: Saved, load: Load) -> bool:
    return is_within(load.path, one.path) or is_within(one.path, load.path)
