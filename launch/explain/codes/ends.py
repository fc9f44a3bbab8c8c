"""How a job, its ranks and its nodes ended, and what is left of them; each class is a code of `results.json`."""

from __future__ import annotations

from collections.abc import Mapping

from resumable.launch.explain.codes.statement import Problem, Reason
from resumable.launch.system.wording import counted


class NoRankStarted(Problem, frozen=True, kw_only=True):
    """Nothing ran."""

    template = "no rank was started"


class DiedUnplanned(Problem, frozen=True, kw_only=True):
    """A rank ended that no fault had ended."""

    template = (
        "rank {rank} died unplanned in incarnation {incarnation} after {num_steps:step}: {message}"
        "{is_untouched:?; nothing had been done to it yet}"
    )
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
    remedy = (
        "leave something to start again: `nodeloss(replace=1)` for the only node, `--max-restarts` as many as faults"
    )


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

    template = "node {node} {outcome}{message:?: {message}}"
    kind_by = ("outcome",)
    node: int
    outcome: str
    message: str = ""


class ProcessesLeft(Problem, frozen=True, kw_only=True):
    """Processes of the job are still there."""

    template = "{num:process} of the job outlived it: {pids:, }"
    pids: tuple[int, ...]

    def __str__(self) -> str:
        return self.filled(num=len(self.pids))


class LogsMissing(Problem, frozen=True, kw_only=True):
    """What ranks printed was not kept."""

    template = "{num:log} missing, the first is {first}"
    num: int
    first: str


# Why


class SeeLog(Reason, frozen=True, kw_only=True):
    """Nothing better is known."""

    template = "see {log:its log, |what it printed}{log}"
    log: str
    """"" where nobody kept it."""


class RanksLeftEarly(Reason, frozen=True, kw_only=True):
    """The others waited for them in vain."""

    template = "{who}"
    num_steps: Mapping[int, int]
    """By rank."""

    def __str__(self) -> str:
        who = (
            f"rank {rank} had left with exit code 0 after {counted(n, 'step')}" for rank, n in self.num_steps.items()
        )
        return self.filled(who=", ".join(who))


class LeaveWithAnotherCode(Reason, frozen=True, kw_only=True):
    """Exit code 0 means finished."""

    template = "whoever started it takes it for finished"
    remedy = "leave with a different exit code, such as 143"
