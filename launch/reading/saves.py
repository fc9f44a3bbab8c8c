"""What this run saved, and which of it a group of ranks read again: equal content tells, whatever the paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from resumable.launch.evidence.fingerprints import Fingerprint, merged
from resumable.launch.evidence.rank_records import Load, Save, State
from resumable.launch.evidence.written_files import files_in
from resumable.launch.reading.trajectory import Trajectory

Content = Mapping[str, Fingerprint]
"""Fingerprints by key."""
Moment = tuple[int, int]
"""Incarnation, and steps done since training began."""
_MOST_BEHIND = 64
"""Steps by which what a thread writes is older than the training, at most."""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What one rank saved at one moment."""

    incarnation: int
    rank: int
    step: int
    """Steps done since training began."""
    earliest_step: int
    """The same, unless a thread of the job saved: it may have been handed its state some steps before it began to write."""
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

    @property
    def moments(self) -> Iterator[Moment]:
        """When the rank may have had what is saved."""
        return (
            (self.incarnation, step) for step in range(max(self.earliest_step, self.step - _MOST_BEHIND), self.step + 1)
        )


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
                    path=names.get(record.sequence, record.path),
                    content=record.fingerprints,
                    state=before
                    if isinstance(before, State) and is_just_before and record.writer != "thread"
                    else None,
                )
            )
    return tuple(saved)


def read_by(trajectory: Trajectory) -> tuple[Content, ...]:
    """What a process read before its first step, as far as it has the keys of a save, in order."""
    loads = (r for r in trajectory.process.events if isinstance(r, Load) and trajectory.precedes_training(r))
    return tuple(load.fingerprints for load in loads if load.fingerprints)


def saves_read(group: Sequence[Trajectory], saved: Iterable[Saved]) -> tuple[Moment, ...]:
    """The moments of the saves that the ranks of a group read, without repetition, oldest first.

    A checkpoint may lie in several files, each read by itself. Of what is read, most elements must be those of the save:
    that a counter is equal shows nothing.
    """
    candidates = _merged_saves(saved)
    moments: set[Moment] = set()
    for content in _merged_reads(group):
        scores = [(_num_equal(content, other), one) for one, other in candidates]
        best = max([score for score, _ in scores], default=0)
        if 2 * best > sum(_num_elements(one) for one in content.values()):
            moments.update(moment for score, one in scores if score == best for moment in one.moments)
    return tuple(sorted(moments))


def _merged_saves(saved: Iterable[Saved]) -> list[tuple[Saved, Content]]:
    """One of each save, with what is saved: of what is spread over ranks, all shards together."""
    by_moment: dict[tuple[Moment, frozenset[str]], dict[int, list[Saved]]] = {}
    for one in saved:
        by_rank = by_moment.setdefault((one.moment, frozenset(one.content)), {})
        by_rank.setdefault(one.rank, []).append(one)
    return [
        (next(iter(by_rank.values()))[0], content)
        for by_rank in by_moment.values()
        for content in _merged_over_ranks([[own.content for own in saves] for saves in by_rank.values()])
    ]


def _merged_reads(group: Sequence[Trajectory]) -> list[Content]:
    by_keys: dict[frozenset[str], dict[int, list[Content]]] = {}
    for trajectory in group:
        for content in read_by(trajectory):
            by_keys.setdefault(frozenset(content), {}).setdefault(trajectory.process.rank, []).append(content)
    return [content for by_rank in by_keys.values() for content in _merged_over_ranks(list(by_rank.values()))]


def _merged_over_ranks(contents: Sequence[Sequence[Content]]) -> list[Content]:
    """The n-th of each rank together, where it is spread over them; else each rank's own."""
    is_spread = any(one.part for own in contents for content in own for one in content.values())
    if not is_spread:
        return [content for own in contents for content in own]
    return [
        {
            key: merged(one, (other[number][key] for other in contents[1:] if number < len(other)))
            for key, one in content.items()
        }
        for number, content in enumerate(contents[0])
    ]


def _num_equal(content: Content, other: Content) -> int:
    """Elements of the keys under which both have the same."""
    return sum(_num_elements(one) for key, one in content.items() if other.get(key) == one)


def _num_elements(one: Fingerprint) -> int:
    return one.num_whole + one.num_part
