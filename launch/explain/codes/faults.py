"""What can be wrong with a fault, and why it never fired; each class is a code of `results.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from resumable.launch.explain.codes.statement import Problem, Reason

_SOONER = "name an earlier moment, such as `--fault sigkill@step=1:rank=0`, or let the job train for longer"


class NoFaultPlanned(Problem, frozen=True, kw_only=True):
    """There was no fault to survive."""

    template = "no fault was planned, so nothing was interrupted and nothing is proved"


class FaultDidNotFire(Problem, frozen=True, kw_only=True):
    """Its moment never came."""

    template = "{fault}: did not fire"
    fault: str


class FaultRepeated(Problem, frozen=True, kw_only=True):
    """It fired more than once."""

    template = "{fault}: fired {num:time}"
    fault: str
    num: int


class FaultOnWrongRank(Problem, frozen=True, kw_only=True):
    """It fired elsewhere."""

    template = "{fault}: fired on rank {rank}"
    fault: str
    rank: int


class FaultAtWrongMoment(Problem, frozen=True, kw_only=True):
    """It fired too soon or too late."""

    template = "{fault}: fired at a different moment, when {num_steps:step} were done"
    fault: str
    num_steps: int


MissingEffect = Literal[
    "the rank went on",
    "the script caught it",
    "the save went on",
    "the hang watch noticed nothing",
    "no node was lost",
    "no node was cut",
    "no node was interrupted",
]


class FaultWithoutEffect(Problem, frozen=True, kw_only=True):
    """It fired and changed nothing."""

    template = "{fault}: fired on rank {rank}, and {effect}"
    kind_by = ("effect",)
    fault: str
    rank: int
    effect: MissingEffect

    @property
    def was_survived(self) -> bool:
        """Whether the process that should have ended lived on."""
        return self.effect in ("the rank went on", "the script caught it")

    @property
    def advice(self) -> str:
        """What to do about it."""
        return "choose `sigkill`: what a process does that lives on is no restart" if self.was_survived else ""


# Why it never fired


class NothingStarted(Reason, frozen=True, kw_only=True):
    """Nothing ran at all."""

    template = "no rank was started"


class NoSuchRank(Reason, frozen=True, kw_only=True):
    """The world is smaller."""

    template = "rank {rank} does not exist among {world_size:rank}"
    rank: int
    world_size: int


class NodeNotThere(Reason, frozen=True, kw_only=True):
    """None of its ranks got so far."""

    template = "no rank of node {node} reached that point"
    node: int


class RankRecordedNothing(Reason, frozen=True, kw_only=True):
    """It left no line."""

    template = "rank {rank} recorded nothing"
    rank: int


class NoStepSeen(Reason, frozen=True, kw_only=True):
    """Steps that nobody sees cannot be counted."""

    template = "no optimizer step of rank {rank} was seen, and {when} counts those: use batch="
    rank: int
    when: str


class NoRestart(Reason, frozen=True, kw_only=True):
    """A moment after a restart needs one."""

    template = "there was no restart that it could follow"


class TooFewSaves(Reason, frozen=True, kw_only=True):
    """The rank did not save that often."""

    template = "rank {rank} saved {num:time} with torch.save or torch.distributed.checkpoint"
    rank: int
    num: int


class SaveNotHalfDone(Reason, frozen=True, kw_only=True):
    """Its middle was never reached."""

    template = "rank {rank} never reached the middle of that save: another process wrote it, or it failed before"
    rank: int


class CheckpointGone(Reason, frozen=True, kw_only=True):
    """It was renamed or removed by somebody else, or is not the run's own."""

    template = (
        "no checkpoint of rank {rank} was in the run's own folders under the name it was written by; links do not count"
    )
    rank: int


class FilesRefused(Reason, frozen=True, kw_only=True):
    """There was one, and it is not to be damaged."""

    template = "{files}: left alone, as a fault damages only files of the run's own, and follows no link"
    refused: Mapping[str, str]
    """Why, by path."""

    def __str__(self) -> str:
        return self.filled(files=", ".join(f"{path} ({why})" for path, why in self.refused.items()))


class NoCheckpoint(Reason, frozen=True, kw_only=True):
    """Nothing to damage that is the run's own."""

    template = "rank {rank} had written no checkpoint into the run's own folders; links do not count"
    rank: int


class NoLoaderWorker(Reason, frozen=True, kw_only=True):
    """Nobody to kill."""

    template = "rank {rank} had no loader worker at that moment"
    rank: int


class RunEndedBefore(Reason, frozen=True, kw_only=True):
    """Something else ended the run."""

    template = "the run ended after {num_steps:step} of rank {rank}, before its moment came"
    rank: int
    num_steps: int


class NoSuchEpoch(Reason, frozen=True, kw_only=True):
    """Training has fewer epochs than that; loaders that take turns go through theirs together."""

    template = "training ended after {num_epochs:epoch} (the first is epoch 0) and {num_steps:step}"
    remedy = _SOONER
    num_epochs: int
    num_steps: int


class TrainingEndedBefore(Reason, frozen=True, kw_only=True):
    """Training is shorter than that."""

    template = "training ended after {num_steps:step}"
    remedy = _SOONER
    num_steps: int
