"""How far a job's training reaches: which moments an uninterrupted run has, so that a fault at one of them will fire."""

from __future__ import annotations

from bisect import bisect_left

import msgspec

from resumable.launch.evidence.rank_records import Save
from resumable.launch.plan.fault_model import Point, When
from resumable.launch.plan.plan import Scenario
from resumable.launch.reading.lives import Run, Timeline


class RankLength(msgspec.Struct, frozen=True, kw_only=True):
    """How far one rank trains."""

    num_steps: int
    batches: dict[tuple[int, int], int]
    """Epoch and batch of every batch that is trained on, each with the steps that are done before its own."""
    saves: tuple[int, ...]
    """Steps done when each checkpoint was begun."""


class TrainingLength(msgspec.Struct, frozen=True, kw_only=True):
    """How far every rank trains."""

    ranks: dict[int, RankLength]

    @property
    def num_steps(self) -> int:
        """Steps of the rank that does most."""
        return max((own.num_steps for own in self.ranks.values()), default=0)

    @property
    def epoch_starts(self) -> tuple[int, ...]:
        """Steps done when each epoch begins, on the rank that begins it first."""
        starts: dict[int, int] = {}
        for own in self.ranks.values():
            for (epoch, _), step in own.batches.items():
                starts[epoch] = min(step, starts.get(epoch, step))
        return tuple(sorted(starts.values()))

    def steps_done(self, when: When, rank: int) -> int | None:
        """Steps that a rank has done when this moment comes; None where that depends on what happened before."""
        match when.point:
            case Point.STEP:
                return when.numbers[0] + 1
            case Point.EPOCH_BATCH:
                return self.ranks[rank].batches.get((when.numbers[0], when.numbers[1]))
            case _:
                return None

    def place_of(self, point: Scenario) -> int | None:
        """Steps done when the faults of a point come; None where that depends on what happened before."""
        places = [self.steps_done(fault.when, fault.rank) for fault in point.faults if fault.rank is not None]
        return None if None in places else max(filter(None, places), default=None)

    def has(self, when: When, rank: int) -> bool:
        """Whether the rank reaches this moment; a moment after a restart is beyond what an uninterrupted run shows."""
        own = self.ranks.get(rank)
        if own is None:
            return False
        match when.point:
            case Point.STEP:
                return when.numbers[0] < own.num_steps
            case Point.BATCH:
                return when.numbers[0] < len(own.batches)
            case Point.EPOCH_BATCH:
                return when.numbers in own.batches
            case Point.SAVE:
                return when.numbers[0] < len(own.saves)
            case Point.RESUME | Point.LOAD:
                return own.num_steps > 0

    def has_checkpoint(self, when: When, rank: int) -> bool:
        """Whether the rank has written a checkpoint by then; a moment that is no step is not looked at closely."""
        own = self.ranks.get(rank)
        if own is None or not own.saves:
            return False
        return when.point is not Point.STEP or own.saves[0] <= when.numbers[0]


def training_length_of(reference: Run) -> TrainingLength:
    """The length of an uninterrupted run."""
    return TrainingLength(ranks={timeline.rank: _rank_length(timeline) for timeline in reference.timelines})


def _rank_length(timeline: Timeline) -> RankLength:
    lines = timeline.steps.column("lines")
    saves = [
        record.sequence + 1
        for life in timeline.lives
        for record in life.process.events
        if isinstance(record, Save) and record.phase == "begin"
    ]
    return RankLength(
        num_steps=len(timeline.steps),
        batches={
            (batch.epoch, batch.batch): number for number, step in enumerate(timeline.steps) for batch in step.batches
        },
        saves=tuple(bisect_left(lines, line) for line in saves),
    )
