"""What this run saved, and which of it a group of ranks read again: equal content tells, whatever the paths."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import TypeVar

import msgspec

from resumable.launch.evidence.fingerprints import Fingerprint, merged
from resumable.launch.evidence.rank_records import Load, Save, State
from resumable.launch.evidence.written_files import files_in
from resumable.launch.reading.trajectory import Trajectory

T = TypeVar("T")
Content = Mapping[str, Fingerprint]
"""Fingerprints by key."""
Moment = tuple[int, int]
"""Incarnation, and steps done since training began."""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What one rank saved at one moment."""

    incarnation: int
    rank: int
    step: int
    """Steps done since training began."""
    earliest_step: int
    """The same, unless a thread of the job saved: it may have been handed its state some steps before it began to write."""
    begin: int
    """Line (`sequence`) in the evidence of its process."""
    path: str
    """Where it was put in the end."""
    content: Content
    state: State | None
    """What the rank had then; None where a thread of the job saved, which may have been handed its state before."""

    @property
    def parameters(self) -> str | None:
        """Digest of those that the rank had, as its steps have it; None where that is not known."""
        quick = None if self.state is None else self.state.quick.get("parameters")
        return None if quick is None else quick.whole + quick.part

    @property
    def moment(self) -> Moment:
        """When it began: what ranks save between the same two steps is one save."""
        return self.incarnation, self.step


def saved_by(trajectory: Trajectory, first_step: int) -> tuple[Saved, ...]:
    """What one process saved, in order.

    Args:
        trajectory: What it trained on.
        first_step: Steps done since training began when it started to train.
    """
    process = trajectory.process
    names = {file.begin: file.path for file in files_in(process.events)}
    saved: list[Saved] = []
    for before, record in pairwise(process.events):
        if isinstance(record, Save) and record.fingerprints:
            step = first_step + trajectory.num_steps_before(record.sequence)
            is_just_before = before.sequence == record.sequence - 1
            saved.append(
                Saved(
                    incarnation=process.incarnation,
                    rank=process.rank,
                    step=step,
                    earliest_step=first_step if record.writer == "thread" else step,
                    begin=record.sequence,
                    path=names.get(record.sequence, record.path),
                    content=record.fingerprints,
                    state=before
                    if isinstance(before, State) and is_just_before and record.writer != "thread"
                    else None,
                )
            )
    return tuple(saved)


def saves_read(group: Sequence[Trajectory], saved: Iterable[Saved]) -> tuple[Saved, ...]:
    """Those saves that the ranks of a group read before they trained, the oldest first."""
    loads = {(one.process.rank, r.sequence) for one in group for r in one.process.events if one.precedes_training(r)}
    found = {
        (one.moment, one.rank, one.begin): one
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
