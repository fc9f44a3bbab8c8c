"""Which accusations of the checks are upheld. What is objected to one makes it UNKNOWN; nothing is ever made worse here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from resumable.launch.checks.check import Check
from resumable.launch.explain.check_result import CheckResult, unknown
from resumable.launch.explain.codes.faults import FaultWithoutEffect
from resumable.launch.explain.codes.state_problems import StateContradicts, StepLeftOut
from resumable.launch.explain.codes.statement import Problem
from resumable.launch.explain.codes.verdicts import DiffersBeforeAnyFault
from resumable.launch.explain.outcome import Outcome
from resumable.launch.reading.arbiter import first_left_out, num_equal_steps
from resumable.launch.reading.evidence import Evidence

Answer = tuple[Check, CheckResult]


def upheld(answers: Sequence[Answer], evidence: Evidence) -> list[Answer]:
    """What is left of the answers of all checks."""
    if evidence.damage:
        answers = _unproved(answers, "the evidence is damaged")
    if any(_denies_yardstick(check, result) for check, result in answers):
        answers = _unproved(answers, "the reference is no yardstick", lambda check: check.is_comparison)
    answers = _arbitrated(answers, evidence)
    if any(isinstance(one.problem, FaultWithoutEffect) and one.problem.was_survived for _, one in answers):
        answers = _unproved(answers, "the process lived on")  # what it did then was no restart
    return [*answers]


def _unproved(
    answers: Sequence[Answer], why: str, concerns: Callable[[Check], bool] = lambda _: True
) -> Sequence[Answer]:
    def answer(check: Check, result: CheckResult) -> Answer:
        if result.outcome is not Outcome.INVALID or not concerns(check):
            return check, result
        summary = f"{result.summary} (not proved: {why})"
        return check, msgspec.structs.replace(result, outcome=Outcome.UNKNOWN, summary=summary)

    return [answer(*one) for one in answers]


def _denies_yardstick(check: Check, result: CheckResult) -> bool:
    """Whether the job does not repeat itself even undisturbed: then a difference from the reference accuses nobody."""
    differs_undisturbed = check.is_of_batches and isinstance(result.problem, DiffersBeforeAnyFault)
    return result.outcome is Outcome.UNKNOWN and (check.is_of_reference or differs_undisturbed)


def _arbitrated(answers: Sequence[Answer], evidence: Evidence) -> Sequence[Answer]:
    accused = [result for check, result in answers if check.is_of_batches and result.outcome is Outcome.INVALID]
    objection = _objection(accused, evidence) if accused else None
    if objection is None:
        return answers
    return [
        (check, unknown(objection(what=str(result.problem)), result.violations) if result in accused else result)
        for check, result in answers
    ]


def _objection(accused: Sequence[CheckResult], evidence: Evidence) -> Callable[..., Problem] | None:
    """What contradicts those who find wrong batches, made of what they find.

    No batch was wrong where losses and parameters are right to the last bit: the recorder was, or it did not matter. And
    where a gradient scaler left out a step by chance, which batches each step has follows from that, if none was different
    before.
    """
    num_steps, left_out = num_equal_steps(evidence), first_left_out(evidence)
    if num_steps is not None:
        return partial(StateContradicts, num_steps=num_steps)
    first = min((one.step for result in accused for one in result.violations if one.step is not None), default=0)
    return None if left_out is None or first < left_out else partial(StepLeftOut, num_steps=left_out)
