"""What can be wrong with faults, restarts, references and evidence; each class is a code of `results.json`."""

from __future__ import annotations

from typing import Literal

from resumable.launch.explain.problems import Problem
from resumable.launch.system.wording import counted, place

# Evidence


class EvidenceDamaged(Problem, frozen=True, kw_only=True):
    """Evidence that is not there, or that cannot be believed."""

    template = "{place}: {what}"
    path: str
    line: int | None = None
    what: str

    def __str__(self) -> str:
        return self.filled(place=place(self.path, self.line))


class NothingTrained(Problem, frozen=True, kw_only=True):
    """No batch at all."""

    template = "nothing was trained on"


class NotJudged(Problem, frozen=True, kw_only=True):
    """A scenario that was never run to its end."""

    template = "the scenario was not judged: the sweep ended before it"


class SweepIncomplete(Problem, frozen=True, kw_only=True):
    """A sweep that says nothing about all of its points."""

    template = "{what}"
    what: Literal["the sweep was interrupted", "no point was run"]


# Faults


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


# How the job ended


class NoRankStarted(Problem, frozen=True, kw_only=True):
    """Nothing ran."""

    template = "no rank was started"


class DiedUnplanned(Problem, frozen=True, kw_only=True):
    """A rank ended that no fault had ended."""

    template = "rank {rank} died unplanned in incarnation {incarnation} after {num_steps:step}: {message}{untouched}"
    kind_by = ("error", "exit_code")
    rank: int
    incarnation: int
    num_steps: int
    error: str = ""
    """The exception's type, with its module; "" where there was none."""
    exit_code: int | None = None
    message: str
    is_untouched: bool = False
    """No fault had been done to the job yet."""
    is_from_outside: bool = False
    """By a signal that nothing in the job sends itself, as far as anybody saw."""

    def __str__(self) -> str:
        return self.filled(untouched="; nothing had been done to it yet" if self.is_untouched else "")


class JobUnfinished(Problem, frozen=True, kw_only=True):
    """Nobody knows what would have come."""

    template = "the job did not come to its end, so that nothing shows what it would have left out"


class TakenForFinished(Problem, frozen=True, kw_only=True):
    """Asked to stop, a rank left as if all was done."""

    template = "rank {rank} ended with exit code 0 after {num_done} of {num_steps:step}, because it was asked to stop"
    rank: int
    num_done: int
    num_steps: int


class NothingStartedAgain(Problem, frozen=True, kw_only=True):
    """The job ended with a fault."""

    template = "nothing was started again after the last fault"


class RanksWithoutEnd(Problem, frozen=True, kw_only=True):
    """Some ranks left no evidence of their last life."""

    template = "only {num_found} of {world_size:rank} left an ending"
    num_found: int
    world_size: int


class NodesWithoutEnd(Problem, frozen=True, kw_only=True):
    """No node reported."""

    template = "no node recorded how it ended"


class RunWithoutEnd(Problem, frozen=True, kw_only=True):
    """Whoever ran the job was not there any more when it ended, or its last line is missing."""

    template = "the command that ran the job did not record its end"


class NodeFailed(Problem, frozen=True, kw_only=True):
    """A node did not end as it should."""

    template = "node {node} {outcome}{details}"
    kind_by = ("outcome",)
    node: int
    outcome: str
    message: str = ""

    def __str__(self) -> str:
        return self.filled(details=f": {self.message}" if self.message else "")


# What is left


class ProcessesLeft(Problem, frozen=True, kw_only=True):
    """Processes of the job are still there."""

    template = "{num:process} of the job outlived it: {listed}"
    pids: tuple[int, ...]

    def __str__(self) -> str:
        return self.filled(num=len(self.pids), listed=", ".join(map(str, self.pids)))


class LogsMissing(Problem, frozen=True, kw_only=True):
    """What ranks printed was not kept."""

    template = "{num:log} missing, the first is {first}"
    num: int
    first: str


# References


class ReferenceMissing(Problem, frozen=True, kw_only=True):
    """One run cannot show that the job repeats itself."""

    template = "there are not two uninterrupted runs, so nothing shows that the job repeats itself"


class ReferenceFailed(Problem, frozen=True, kw_only=True):
    """It failed though nothing was done to it."""

    template = "{run} failed by itself on rank {rank}: {message} (see {log})"
    kind_by = ("error", "exit_code")
    run: str
    rank: int
    error: str = ""
    exit_code: int | None = None
    message: str
    log: str


class ReferenceUnusable(Problem, frozen=True, kw_only=True):
    """It is there, and shows nothing."""

    template = "{run} {what}"
    kind_by = ("what",)
    run: str
    what: Literal["recorded nothing", "was restarted, though nothing was done to it", "did not come to its end"]


class ReferenceNodeFailed(Problem, frozen=True, kw_only=True):
    """A node of it failed."""

    template = "{run}: node {node} failed: {message}"
    run: str
    node: int
    message: str


Weakness = Literal["no batches", "unidentified batches", "mostly no batches", "too few steps", "equal batches"]


class ReferenceWithoutOrder(Problem, frozen=True, kw_only=True):
    """A rank's sequence cannot tell a right order from a wrong one."""

    template = "{run}: {weakness}"
    kind_by = ("what",)
    run: str
    rank: int
    num_steps: int
    what: Weakness

    def __str__(self) -> str:
        return self.filled(
            weakness=_WEAKNESSES[self.what].format(rank=self.rank, steps=counted(self.num_steps, "step"))
        )


_WEAKNESSES = {
    "no batches": "rank {rank} trained on no batch that could be watched (not without a backward() call, nor in processes "
    "that it starts itself, as mp.spawn does)",
    "unidentified batches": "rank {rank} trained on batches without indices and without a digest",
    "mostly no batches": "rank {rank} did most of its {steps} on no batch that could be watched",
    "too few steps": "rank {rank} did {steps}: too few to resume between",
    "equal batches": "all batches of rank {rank} are equal: no order can be told from another",
}


class ReferenceRanksDiffer(Problem, frozen=True, kw_only=True):
    """Their world sizes differ."""

    template = "the two uninterrupted runs had different ranks"


class ReferenceVaries(Problem, frozen=True, kw_only=True):
    """The job does not do the same twice."""

    template = "the uninterrupted run does not repeat {what}{where}"
    kind_by = ("what",)
    what: Literal["itself", "its own content", "its own losses or parameters", "its own parameters at the end"]
    rank: int | None = None
    step: int | None = None

    def __str__(self) -> str:
        rank = "" if self.rank is None else f": rank {self.rank} differs"
        step = "" if self.step is None else f" from step {self.step} on"
        return self.filled(where=rank + step)
