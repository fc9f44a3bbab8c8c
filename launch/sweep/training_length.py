"""How far a job's training reaches: which moments an uninterrupted run has, so that a fault at one of them will fire."""

from __future__ import annotations

from bisect import bisect_left

import msgspec

from resumable.launch.evidence.rank_records import Save
from resumable.launch.plan.fault_model import Point, When
from resumable.launch.reading.lives import Run, Timeline


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What one rank comes to."""

    num_steps: int
    batches: frozenset[tuple[int, int]]
    """Epoch and batch of every batch that is trained on."""
    saves: tuple[int, ...]
    """Steps done when each checkpoint was begun."""


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """What every rank comes to."""

    ranks: dict[int, Reach]

    @property
    def num_steps(self) -> int:
        """Steps of the rank that does most."""
        return max((reach.num_steps for reach in self.ranks.values()), default=0)

    def has(self, when: When, rank: int) -> bool:
        """Whether the rank comes to this moment; a moment after a restart is beyond what an uninterrupted run shows."""
        reach = self.ranks.get(rank)
        if reach is None:
            return False
        match when.point:
            case Point.STEP:
                return when.numbers[0] < reach.num_steps
            case Point.BATCH:
                return when.numbers[0] < len(reach.batches)
            case Point.EPOCH_BATCH:
                return when.numbers in reach.batches
            case Point.SAVE:
                return when.numbers[0] < len(reach.saves)
            case Point.RESUME | Point.LOAD:
                return reach.num_steps > 0

    def has_checkpoint(self, when: When, rank: int) -> bool:
        """Whether the rank has written a checkpoint by then; a moment that is no step is not looked at closely."""
        reach = self.ranks.get(rank)
        if reach is None or not reach.saves:
            return False
        return when.point is not Point.STEP or reach.saves[0] <= when.numbers[0]


def extent_of(reference: Run) -> Extent:
    """The extent of an uninterrupted run."""
    return Extent(ranks={timeline.rank: _reach(timeline) for timeline in reference.timelines})


def _reach(timeline: Timeline) -> Reach:
    lines = [step.line for step in timeline.steps]
    saves = [
        record.sequence + 1
        for life in timeline.lives
        for record in life.trajectory.process.records
        if isinstance(record, Save) and record.phase == "begin"
    ]
    return Reach(
        num_steps=len(timeline.steps),
        batches=frozenset((batch.epoch, batch.batch) for step in timeline.steps for batch in step.batches),
        saves=tuple(bisect_left(lines, line) for line in saves),
    )
