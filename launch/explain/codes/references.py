"""What can be wrong with the uninterrupted runs; each class is a code of `results.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from resumable.launch.explain.codes.statement import Problem


class ReferenceMissing(Problem, frozen=True, kw_only=True):
    """One run cannot show that the job repeats itself."""

    template = "there are not two uninterrupted runs, so nothing shows that the job repeats itself"


class ReferenceFailed(Problem, frozen=True, kw_only=True):
    """It failed though nothing was done to it."""

    template = "{run} failed by itself on rank {rank}: {message}{log:? (see }{log}{log:?)}"
    kind_by = ("error", "exit_code")
    run: str
    rank: int
    error: str = ""
    exit_code: int | None = None
    message: str
    log: str
    """"" where nobody kept it."""

    @property
    def advice(self) -> str:
        """Of a file that it looked for where it was started."""
        is_elsewhere = self.error.endswith("FileNotFoundError") and "'/" not in self.message
        return _ABSOLUTE_PATHS if is_elsewhere else ""


_ABSOLUTE_PATHS = "name data by absolute paths: each run starts in a working directory of its own, where checkpoints go"


class ReferenceUnusable(Problem, frozen=True, kw_only=True):
    """It is there, and shows nothing."""

    template = "{run} {what}"
    kind_by = ("what",)
    run: str
    what: Literal[
        "recorded nothing",
        "was restarted, though nothing was done to it",
        "is several trainings, one after another",
        "did not come to its end",
    ]

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.what != "is several trainings, one after another":
            return ""
        return "give `verify` a command that trains once; `record` and `check` take several lives of one job"


class ReferenceNodeFailed(Problem, frozen=True, kw_only=True):
    """A node of it failed."""

    template = "{run}: node {node} failed: {message}"
    run: str
    node: int
    message: str


Weakness = Literal["no batches", "unidentified batches", "mostly no batches", "too few steps", "equal batches"]


class ReferenceWithoutOrder(Problem, frozen=True, kw_only=True):
    """A rank's sequence cannot tell a right order from a wrong one."""

    template = "{run}: "
    kind_by = ("what",)
    run: str
    rank: int
    num_steps: int
    what: Weakness

    @property
    def wording(self) -> str:
        """With its weakness."""
        return self.template + _WEAKNESSES[self.what]


_WEAKNESSES: Mapping[Weakness, str] = {
    "no batches": "rank {rank} trained on no batch that could be watched (not without a backward() call or an optimizer, "
    "nor in processes that it starts itself, as mp.spawn does)",
    "unidentified batches": "rank {rank} trained on batches without indices and without a digest",
    "mostly no batches": "rank {rank} did most of its {num_steps:step} on no batch that could be watched",
    "too few steps": "rank {rank} did {num_steps:step}: too few to resume between",
    "equal batches": "all batches of rank {rank} are equal: no order can be told from another",
}


class ReferenceRanksDiffer(Problem, frozen=True, kw_only=True):
    """Their world sizes differ."""

    template = "the two uninterrupted runs had different ranks"


class ReferenceVaries(Problem, frozen=True, kw_only=True):
    """The job does not do the same twice."""

    template = "the uninterrupted run does not repeat {what}{rank:?: rank {rank} differs}{step:? from step {step} on}"
    remedy = "seed all that the job draws from: `torch.manual_seed`, the sampler, NumPy and Python's `random`"
    kind_by = ("what",)
    what: Literal["itself", "its own content", "its own losses or parameters", "its own parameters at the end"]
    rank: int | None = None
    step: int | None = None
