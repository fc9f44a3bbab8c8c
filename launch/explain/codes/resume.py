"""What can be wrong with the place where processes went on, and why; each class is a code of `results.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from resumable.launch.explain.codes.statement import Problem, Reason


class ResumedTooFar(Problem, frozen=True, kw_only=True):
    """A process builds on steps that nobody had done."""

    template = "rank {rank} in incarnation {incarnation} went on from step {step}, though it had done only {num_done}"
    rank: int
    incarnation: int
    step: int
    num_done: int


class StartedFromScratch(Problem, frozen=True, kw_only=True):
    """There was a checkpoint, and a process did not load it."""

    template = (
        "rank {rank} in incarnation {incarnation} started from scratch, though {path}"
        "{checkpoint_step:? of step {checkpoint_step}} was complete"
    )
    rank: int
    incarnation: int
    path: str
    checkpoint_step: int | None = None
    """None where it is not sure, because another thread wrote it."""


class WorkLost(Problem, frozen=True, kw_only=True):
    """A process went on from an older checkpoint than it could have."""

    template = (
        "rank {rank} in incarnation {incarnation} went on from step {step}, though {path} of step {checkpoint_step} "
        "was complete: {num_lost:step} lost needlessly"
    )
    rank: int
    incarnation: int
    step: int
    path: str
    checkpoint_step: int
    num_lost: int


class NoticeWasted(Problem, frozen=True, kw_only=True):
    """A preemption announces itself, and what was done until then was lost."""

    template = (
        "rank {rank} went on from step {step}, though {num_done:step} were done when the notice of the preemption came"
    )
    rank: int
    step: int
    num_done: int


class NoCheckpointEver(Problem, frozen=True, kw_only=True):
    """Nothing shows that the job can resume."""

    template = (
        "rank {rank} in incarnation {incarnation} started from scratch, and no run was seen to save a checkpoint to a file "
        "before its end: nothing shows that it can resume"
    )
    remedy = "save a checkpoint every few steps, and load the newest at the start: `resumable example ddp` shows how"
    rank: int
    incarnation: int


class RanksApart(Problem, frozen=True, kw_only=True):
    """The ranks of one group went on from different places."""

    template = "in incarnation {incarnation} {places}"
    kind_by = ("what",)
    incarnation: int
    what: Literal["step", "sampler epoch"]
    places: Mapping[int, int | None]
    """Where each rank was; of those that were at the same place, the first."""

    def __str__(self) -> str:
        return self.filled(places=", ".join(ranks_apart(self.what, self.places)))


# Why


WRITE_ATOMICALLY = "write each checkpoint beside its place, then rename it, so that it is there whole or not at all"


class NothingLoaded(Reason, frozen=True, kw_only=True):
    """The script never looked for it."""

    template = "it loaded no checkpoint"
    remedy = "load the newest checkpoint, if there is one, before training begins"


class OverwriteUnfinished(Reason, frozen=True, kw_only=True):
    """The old file was gone before the new one was there."""

    template = "its writer never finished the next one that it wrote over it"
    remedy = WRITE_ATOMICALLY


class RemovedTooSoon(Reason, frozen=True, kw_only=True):
    """The older checkpoint went before a newer one was whole."""

    template = "the job itself had removed {path}"
    remedy = "remove a checkpoint once the next one is complete"
    path: str


class HalfWritten(Reason, frozen=True, kw_only=True):
    """A file that was not whole."""

    template = "{path} was left half written"
    remedy = WRITE_ATOMICALLY
    path: str


class CheckpointDamaged(Reason, frozen=True, kw_only=True):
    """A fault damaged it."""

    template = "{path} was damaged ({fault})"
    remedy = "keep the checkpoint before the newest one, and load it where the newest cannot be read"
    kind_by = ("fault",)
    path: str
    fault: str


class NoEmergencyCheckpoint(Reason, frozen=True, kw_only=True):
    """The notice was not used."""

    template = "the job left no emergency checkpoint in the time of grace"
    remedy = "on SIGTERM, save a checkpoint before the process ends"


class RanksWentOnApart(Reason, frozen=True, kw_only=True):
    """A group whose ranks stand at different places waits for itself."""

    template = "{places}"
    kind_by = ("what",)
    what: Literal["step", "sampler epoch"]
    places: Mapping[int, int | None]

    def __str__(self) -> str:
        return self.filled(places=", ".join(ranks_apart(self.what, self.places)))


class EachRankRestores(Reason, frozen=True, kw_only=True):
    """Progress is the same for all."""

    template = "each rank must restore the same progress"
    remedy = "save the progress once, for all ranks, or of each rank, and load what was saved"


def ranks_apart(what: Literal["step", "sampler epoch"], places: Mapping[int, int | None]) -> list[str]:
    """`rank 0 went on from step 8`, `rank 1 went on from step 5`."""
    did = {"step": "went on from step", "sampler epoch": "had a sampler in epoch"}[what]
    return [f"rank {rank} {did} {place}" for rank, place in places.items()]
