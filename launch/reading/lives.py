"""One scenario as it was read: the processes of every rank, placed in the whole training, and the faults that hit them."""

from __future__ import annotations

import math
from functools import cached_property

import msgspec

from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.rank_records import AnyRecord, Batch, FaultFired, Rename, Step
from resumable.launch.reading.lockstep import Lockstep
from resumable.launch.reading.resume import ResumePoint
from resumable.launch.reading.saves import Saved
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import TrainedBatch
from resumable.launch.reading.trajectory import Trajectory


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a rank, placed in the whole training. Epochs of `steps` count since training began."""

    trajectory: Trajectory
    first_step: int
    """Steps that its first step builds on."""
    common_step: int
    """The same as all ranks together count them, of which some may make fewer steps than others."""
    resume: ResumePoint | None
    """None in the first incarnation, and for a process that ended before its first step."""
    before: Steps
    """What the rank was made of when the process started."""
    steps: Steps
    unfinished: tuple[TrainedBatch, ...]
    """Batches after the last step that had a backward pass."""
    waiting: tuple[TrainedBatch, ...]
    """The batches received last, which had none yet."""
    has_cut: bool = False
    """What the rank had done beyond the first step counts no more: it trained on, or found nothing left and ended."""
    num_open: int = 0
    """Batches of its first step whose gradients waited when the checkpoint was written that it went on from."""
    num_carried: int = 0
    """Batches of its first step whose gradients came with the checkpoint; an earlier process had made them."""
    num_kept: int = 0
    """How many of its steps no later restart cut off."""

    @property
    def process(self) -> Process:
        """What it recorded."""
        return self.trajectory.process

    @property
    def end_step(self) -> int:
        """Steps that its rank had done when it ended."""
        return self.first_step + len(self.steps)

    @property
    def incarnation(self) -> int:
        """Number of its worker group."""
        return self.process.incarnation

    @property
    def rank(self) -> int:
        """Its rank in that group."""
        return self.process.rank


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that happened."""

    fault: int
    """Its number in the plan."""
    kind: str
    life: Life
    """Of the process that it happened to."""
    num_steps: int
    """Steps done since training began, when it happened."""
    num_own_steps: int
    """Those of them that its process did."""
    time_ns: int
    line: int
    """Of its record in the evidence of the process, from 1."""

    @property
    def record_before(self) -> AnyRecord:
        """What its process recorded last before it happened."""
        return self.life.process.records[self.line - 2]

    @property
    def was_survived(self) -> bool:
        """Whether its process trained on."""
        records = self.life.process.records
        return any(isinstance(records[number], Batch | Step) for number in range(self.line, len(records)))


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """All lives of one rank."""

    rank: int
    lives: tuple[Life, ...]
    steps: Steps
    """The effective trajectory; a step that nothing shows has no batches."""


class Run(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One scenario, judged as far as a history alone allows."""

    history: History
    timelines: tuple[Timeline, ...]
    """By rank; each rank that ever was."""
    saved: tuple[Saved, ...]
    """Every file that a process wrote, or began to write, in the order of (incarnation, rank, line)."""
    lockstep: Lockstep
    """How the ranks' own counts of steps go together."""

    @cached_property
    def lives(self) -> tuple[Life, ...]:
        """Every process, in order of (incarnation, rank)."""
        lives = (life for timeline in self.timelines for life in timeline.lives)
        return tuple(sorted(lives, key=lambda life: (life.incarnation, life.rank)))

    @cached_property
    def resumed(self) -> tuple[Life, ...]:
        """The processes that trained after a restart, in that order."""
        return tuple(life for life in self.lives if life.resume is not None)

    @cached_property
    def checkpoints(self) -> tuple[Saved, ...]:
        """What a process could go on from, as long as it was there."""
        return tuple(one for one in self.saved if one.is_checkpoint)

    @cached_property
    def artefacts(self) -> tuple[Saved, ...]:
        """All that processes were seen to write, or to begin to write, into a file with a name."""
        return tuple(one for one in self.saved if one.name and not isinstance(one.file.begun, Rename))

    def saved_before(self, incarnation: int) -> tuple[Saved, ...]:
        """What earlier incarnations wrote."""
        return tuple(one for one in self.saved if one.incarnation < incarnation)

    def group(self, incarnation: int) -> tuple[Life, ...]:
        """The processes of one incarnation, by rank."""
        return tuple(life for life in self.lives if life.incarnation == incarnation)

    def timeline(self, rank: int | None) -> Timeline | None:
        """All lives of one rank; None if it recorded nothing."""
        return next((timeline for timeline in self.timelines if timeline.rank == rank), None)

    def doer(self, rank: int, step: int, *, before: float = math.inf) -> Life | None:
        """The process of a rank that did a step last, of those of the incarnations before one; None if nothing shows any."""
        timeline = self.timeline(rank)
        lives = () if timeline is None else reversed(timeline.lives)
        return next(
            (life for life in lives if life.incarnation < before and life.first_step <= step < life.end_step), None
        )

    @cached_property
    def firings(self) -> tuple[Firing, ...]:
        """All faults that happened, by incarnation and rank."""
        return tuple(
            _firing(life, record)
            for life in self.lives
            for record in life.process.events
            if isinstance(record, FaultFired)
        )

    @cached_property
    def world_sizes(self) -> tuple[int, ...]:
        """Number of ranks of each incarnation."""
        return tuple(self.history.world_size(incarnation) for incarnation in self.history.incarnations)


def _firing(life: Life, record: FaultFired) -> Firing:
    line = record.sequence + 1
    num_own_steps = sum(own < line for own in life.steps.column("lines"))
    return Firing(
        fault=record.fault,
        kind=record.kind,
        life=life,
        num_steps=life.first_step + num_own_steps,
        num_own_steps=num_own_steps,
        time_ns=record.time_ns,
        line=line,
    )
