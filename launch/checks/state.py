"""Right batches are not enough: optimizer, scheduler and random state must come back too."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from resumable.launch.checks.check import Check
from resumable.launch.checks.preconditions import HAD_FINISHED, differs_before_any_fault, had_finished_before_fault
from resumable.launch.explain.problems import (
    DiffersBeforeAnyFault,
    FinalParametersDiffer,
    FirstLearningRates,
    NewOptimizer,
    NothingResumed,
    StateDiffers,
)
from resumable.launch.explain.reasons import IsSaved
from resumable.launch.explain.restored import has_first_schedule, has_loaded, has_new_optimizer
from resumable.launch.explain.result import (
    CheckResult,
    Violation,
    at_resume,
    failed,
    not_applicable,
    passed,
    unknown,
)
from resumable.launch.explain.run_problems import ReferenceVaries
from resumable.launch.explain.state import explain_state_difference
from resumable.launch.reading.arbiter import final_parameters, was_cut_off
from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.failures import came_to_its_end
from resumable.launch.reading.lives import Life
from resumable.launch.reading.trajectory import Steps, TrainedStep
from resumable.launch.system.wording import counted

_DIFFERENT_ORDER = "the number of ranks changed, so gradients are summed in a different order"


def _state(evidence: Evidence) -> CheckResult:
    """On a different number of ranks sums are rounded differently: then only what a process starts with is looked at."""
    if evidence.is_resized:
        return _restored(evidence)
    if not any(_has_state(step) for steps in evidence.expected.values() for step in steps):
        return not_applicable("neither losses nor parameters were recorded")
    disagreement = _disagreement(evidence)
    if disagreement is not None:
        return unknown(disagreement)
    violations = list(_violations(evidence))
    if differs_before_any_fault(violations, evidence):
        return unknown(DiffersBeforeAnyFault(), violations)
    return failed(violations) if violations else _nothing_differs(evidence)


state = Check(
    name="state",
    claim="Losses, parameters and buffers equal those of the uninterrupted run, bit for bit.",
    run=_state,
    is_comparison=True,
)


def _restored(evidence: Evidence) -> CheckResult:
    """Whether each process went on with the state of its optimizers and schedulers."""
    resumed = [life for life in evidence.faulted.resumed if life.first_step]
    violations = [v for life in resumed for v in _not_restored(evidence, life)]
    if violations:
        return failed(violations)
    restarts = {life.incarnation for life in resumed if life.resume is not None and life.resume.how == "parameters"}
    if not restarts:
        return not_applicable(_DIFFERENT_ORDER)
    return passed(
        f"{counted(len(restarts), 'restart')} from parameters as they were, none with a new optimizer or schedule; "
        f"{_DIFFERENT_ORDER} then"
    )


def _not_restored(evidence: Evidence, life: Life) -> Iterator[Violation]:
    if not has_loaded(evidence.faulted, life.incarnation):
        return
    rank, incarnation, step = life.rank, life.incarnation, life.first_step
    if has_new_optimizer(evidence, life):
        problem = NewOptimizer(rank=rank, incarnation=incarnation, step=step)
        yield at_resume(life, problem, IsSaved(part="optimizer"))
    if has_first_schedule(evidence, life):
        rates = FirstLearningRates(rank=rank, incarnation=incarnation, step=step)
        yield at_resume(life, rates, IsSaved(part="scheduler"))


def _nothing_differs(evidence: Evidence) -> CheckResult:
    resumed = evidence.faulted.resumed
    if not resumed:
        return passed(HAD_FINISHED) if had_finished_before_fault(evidence) else unknown(NothingResumed())
    num_steps = max(life.first_step + len(life.steps) for life in resumed)
    return passed(f"losses and parameters bit-equal after each of {counted(num_steps, 'step')}")


def _disagreement(evidence: Evidence) -> ReferenceVaries | None:
    """Where the references differ from each other."""
    first, *others = evidence.references
    for other in others:
        for one, two in zip(first.timelines, other.timelines, strict=False):
            step = _first_difference(one.steps, two.steps)
            if step is not None:
                return ReferenceVaries(what="its own losses or parameters", step=step)
        if final_parameters(first) != final_parameters(other):
            return ReferenceVaries(what="its own parameters at the end")
    return None


def _violations(evidence: Evidence) -> Iterator[Violation]:
    """The first difference of every process, then the parameters at the end."""
    reference_end = final_parameters(evidence.references[0])
    is_different = False
    for life in evidence.faulted.lives:
        expected = evidence.expected.get(life.rank, ())
        number = _first_difference(expected[life.first_step :], life.steps)
        if number is not None and not was_cut_off(life, number):
            is_different = True
            yield _violation(evidence, life, number)
    found_end = final_parameters(evidence.faulted)
    ranks = [rank for rank in reference_end if found_end.get(rank) != reference_end[rank]]
    if not is_different and ranks and came_to_its_end(evidence.faulted):
        yield Violation(problem=FinalParametersDiffer(rank=ranks[0]), rank=ranks[0])


def _violation(evidence: Evidence, life: Life, number: int) -> Violation:
    step = life.first_step + number
    wanted, found = evidence.expected[life.rank][step], life.steps[number]
    return Violation(
        problem=StateDiffers(rank=life.rank, step=step, what=_differing(wanted, found)),
        reason=explain_state_difference(evidence, life, number),
        rank=life.rank,
        incarnation=life.incarnation,
        step=step,
        epoch=found.batches[0].epoch if found.batches else None,
        batch=found.batches[0].batch if found.batches else None,
        file=life.trajectory.process.file,
        line=found.line,
    )


def _differing(wanted: TrainedStep, found: TrainedStep) -> Literal["loss", "buffers", "parameters"]:
    if wanted.after != found.after:
        return "parameters"
    return "loss" if wanted.record.buffers == found.record.buffers else "buffers"


def _first_difference(expected: Steps, found: Steps) -> int | None:
    """The first step of both whose state differs; one of which only another rank's checkpoint tells has none."""
    seen = [(wanted, got) for wanted, got in zip(expected, found, strict=False)]
    return first_difference(
        [_state_after(wanted if got.line else TrainedStep()) for wanted, got in seen],
        [_state_after(got if got.line else TrainedStep()) for _, got in seen],
    )


def _state_after(step: TrainedStep) -> tuple[object, ...]:
    """What is compared, bit for bit; a loss that is no number equals itself."""
    losses = tuple("nan" if loss is not None and math.isnan(loss) else loss for loss in step.losses)
    return (step.after, step.record.buffers, losses)


def _has_state(step: TrainedStep) -> bool:
    return step.after is not None or any(loss is not None for loss in step.losses)
