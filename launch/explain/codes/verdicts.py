"""What keeps a verdict from being VALID by itself: evidence that is missing or proves nothing; each class is a code."""

from __future__ import annotations

from typing import Literal

from resumable.launch.explain.codes.statement import Problem


class NothingCompared(Problem, frozen=True, kw_only=True):
    """No check has proved anything."""

    template = "nothing that was trained on has been compared"


class CheckFailed(Problem, frozen=True, kw_only=True):
    """A check raised an error: a bug of this program."""

    template = "the check itself failed: {error}"
    kind_by = ("error",)
    error: str


class DiffersBeforeAnyFault(Problem, frozen=True, kw_only=True):
    """The job does not repeat itself."""

    template = "the run differs before its first restart: the job does not repeat itself"


class NothingResumed(Problem, frozen=True, kw_only=True):
    """There was no restart after which anything was trained."""

    template = "no rank trained after a restart{survived:?: the job survived {survived:, }}"
    survived: tuple[str, ...] = ()
    """Faults that the job survived."""


class StateTellsNothing(Problem, frozen=True, kw_only=True):
    """Numbers that would be the same whatever was lost."""

    template = (
        "from step {step} on every step leaves the parameters as they are, and no loss is known: they may be no numbers "
        "(NaN), and then look right whatever was lost"
    )
    remedy = "hit the job while it still learns, or make it learn for longer: a smaller learning rate, other data"
    step: int


class EvidenceDamaged(Problem, frozen=True, kw_only=True):
    """Evidence that is not there, or that cannot be believed."""

    template = "{path}{line:?:{line}}: {what}"
    path: str
    line: int | None = None
    what: str


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
