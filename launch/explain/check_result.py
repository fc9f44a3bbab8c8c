"""What a check answers, and the violations that it found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import msgspec

from resumable.launch.evidence.rank_records import Index
from resumable.launch.explain.codes.statement import Problem, Reason
from resumable.launch.explain.outcome import Outcome
from resumable.launch.reading.lives import Life
from resumable.launch.reading.trained import TrainedBatch

MAX_INDICES = 256
"""Indices of a batch or a set that a violation keeps; the rest is counted in its sentence."""


def _name(kind: type) -> str:
    return kind.__name__


if TYPE_CHECKING:
    AnyProblem = Problem
    AnyReason = Reason
else:  # the decoder needs to know every class
    AnyProblem = reduce(or_, sorted(Problem.__subclasses__(), key=_name))
    AnyReason = reduce(or_, sorted(Reason.__subclasses__(), key=_name))


def advice_on(problem: Problem | None, reason: Reason | None) -> str:
    """What to do about a problem, as far as its reason or else it alone tells."""
    return next((one.advice for one in (reason, problem) if one is not None and one.advice), "")


class Violation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is not as it should be; what is not known or not meant is None."""

    problem: AnyProblem | None = None
    """What is wrong, for programs; None in results of version 1."""
    reason: AnyReason | None = None
    """Why, for programs."""
    sentence: str = ""
    """What is wrong, for people; made from `problem`."""
    explanation: str = ""
    """Why, as far as the evidence lets one infer; made from `reason`."""
    rank: int | None = None
    incarnation: int | None = None
    epoch: int | None = None
    """Since training began."""
    batch: int | None = None
    """Batch of the epoch, on this rank."""
    step: int | None = None
    """Since training began, from 0."""
    expected: tuple[Index, ...] | None = None
    """A batch's samples in their order; () where there should be no batch."""
    found: tuple[Index, ...] | None = None
    lost: tuple[Index, ...] = ()
    """Samples of a set that are missing, in no order."""
    extra: tuple[Index, ...] = ()
    """Samples of a set that should not be there, or not that often."""
    file: str | None = None
    """Relative to the run directory."""
    line: int | None = None

    def __post_init__(self) -> None:
        if self.problem is not None and not self.sentence:
            msgspec.structs.force_setattr(self, "sentence", str(self.problem))
        if self.reason is not None and not self.explanation:
            msgspec.structs.force_setattr(self, "explanation", str(self.reason))

    @property
    def advice(self) -> str:
        """What to do about it, for people; "" where the explanation says so, or nobody knows."""
        return advice_on(self.problem, self.reason)


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer of one check."""

    outcome: Outcome
    summary: str
    """One line with figures."""
    problem: AnyProblem | None = None
    """Why it is not VALID; None where it is, or where there is nothing to check."""
    reason: AnyReason | None = None
    """Why that is so, where it is known."""
    violations: tuple[Violation, ...] = ()
    notes: tuple[str, ...] = ()
    """What decides nothing and is good to know: what this run could not show, what the job does without any restart."""


def passed(summary: str, notes: Iterable[str] = ()) -> CheckResult:
    """It is as it should be."""
    return CheckResult(outcome=Outcome.VALID, summary=summary, notes=tuple(notes))


def failed(violations: Iterable[Violation], summary: str = "") -> CheckResult:
    """It is not as it should be, and the job is to blame.

    Args:
        violations: At least one; the first is why.
        summary: One line with figures; "": the first violation's sentence.
    """
    found = tuple(violations)
    first = found[0]
    return CheckResult(
        outcome=Outcome.INVALID,
        summary=summary or first.sentence,
        problem=first.problem,
        reason=first.reason,
        violations=found,
    )


def unknown(problem: Problem, violations: Iterable[Violation] = (), *, reason: Reason | None = None) -> CheckResult:
    """The evidence does not show it."""
    summary = str(problem) if reason is None else f"{problem}: {reason}"
    return CheckResult(
        outcome=Outcome.UNKNOWN, summary=summary, problem=problem, reason=reason, violations=tuple(violations)
    )


def not_applicable(why: str) -> CheckResult:
    """There is nothing to check; this never changes a verdict."""
    return CheckResult(outcome=Outcome.NOT_APPLICABLE, summary=why)


def violation_of(
    life: Life,
    problem: Problem,
    reason: Reason | None = None,
    *,
    step: int | None = None,
    at: TrainedBatch | None = None,
    line: int | None = None,
    expected: Sequence[Index] | None = None,
    found: Sequence[Index] | None = None,
) -> Violation:
    """That something is wrong with a process.

    Args:
        life: The process.
        problem: What is wrong.
        reason: Why, where that is known.
        step: Since training began.
        at: The batch whose place is named.
        line: Where it stands in the evidence of the process.
        expected: Samples that should have come; the first of them are kept.
        found: Samples that came, likewise.
    """
    return Violation(
        problem=problem,
        reason=reason,
        rank=life.rank,
        incarnation=life.incarnation,
        epoch=None if at is None else at.epoch,
        batch=None if at is None else at.batch,
        step=step,
        expected=None if expected is None else tuple(expected[:MAX_INDICES]),
        found=None if found is None else tuple(found[:MAX_INDICES]),
        file=life.process.file,
        line=line,
    )


def at_resume(life: Life, problem: Problem, reason: Reason | None = None) -> Violation:
    """That something is wrong with the first step of a process, which has done at least one; arguments likewise."""
    return violation_of(life, problem, reason, step=life.first_step, line=life.steps[0].line)
