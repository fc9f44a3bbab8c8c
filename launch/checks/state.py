"""Right batches are not enough: optimizer, scheduler and random state must come back too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from resumable.launch.checks.check import Check
from resumable.launch.explain.before_fault import HAD_FINISHED, differs_before_any_fault, had_finished_before_fault
from resumable.launch.explain.check_result import (
    CheckResult,
    Violation,
    failed,
    not_applicable,
    passed,
    unknown,
    violation_of,
)
from resumable.launch.explain.codes.state_problems import FinalParametersDiffer, StateDiffers
from resumable.launch.explain.codes.verdicts import DiffersBeforeAnyFault, NothingResumed, StateTellsNothing
from resumable.launch.explain.state_difference import explain_state_difference
from resumable.launch.reading.arbiter import was_cut_off
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.failures import came_to_its_end
from resumable.launch.reading.lives import Life
from resumable.launch.reading.repeatability import Distance, distances, final_parameters, first_different_state
from resumable.launch.reading.trained import TrainedStep
from resumable.launch.system.wording import counted


def _state(evidence: Evidence) -> CheckResult:
    if not any(_has_state(step) for steps in evidence.expected.values() for step in steps):
        return not_applicable("neither losses nor parameters were recorded")
    if not evidence.numbers_repeat:
        return not_applicable(_how_far_apart(evidence))
    violations = list(_violations(evidence))
    if differs_before_any_fault(violations, evidence):
        return unknown(DiffersBeforeAnyFault(), violations)
    return failed(violations) if violations else _nothing_differs(evidence)


state = Check(
    name="state",
    claim="Losses, parameters and buffers equal those of the uninterrupted run, bit for bit.",
    run=_state,
    on_resize="the number of ranks changed, so gradients are summed in a different order; see restored",
    is_comparison=True,
)


def _how_far_apart(evidence: Evidence) -> str:
    """Of a job whose numbers do not repeat."""
    apart, faulted = distances(evidence.references, evidence.faulted)
    return (
        f"its numbers do not repeat: {counted(len(evidence.references), 'uninterrupted run')} differ by up to "
        f"{_figures(apart)}, the faulted run from the nearest of them by up to {_figures(faulted)}; "
        "what is proved rests on the order of the data, on restored and on everything else that is exact"
    )


def _figures(distance: Distance) -> str:
    parts = (("loss", distance.loss), ("the norm of the parameters", distance.parameter_norm))
    return (
        " and ".join(f"{value:.1e} in {what}" for what, value in parts if value is not None) or "what was not measured"
    )


def _nothing_differs(evidence: Evidence) -> CheckResult:
    resumed = evidence.faulted.resumed
    if not resumed:
        return passed(HAD_FINISHED) if had_finished_before_fault(evidence) else unknown(NothingResumed())
    stuck = [life for life in resumed if _is_stuck(life)]
    if stuck:
        return unknown(StateTellsNothing(step=stuck[0].first_step))
    num_steps = max(life.end_step for life in resumed)
    has_parameters = any(step.after is not None for life in resumed for step in life.steps[:1])
    what = "losses and parameters" if has_parameters else "losses"
    return passed(f"{what} bit-equal after each of {counted(num_steps, 'step')}")


def _is_stuck(life: Life) -> bool:
    """Whether all its steps leave the same parameters, and no loss is known: so it is once they are no numbers."""
    steps = life.steps
    has_moved = len(set(steps.column("afters"))) > 1
    return len(steps) > 1 and not has_moved and not any(map(_has_any, map(steps.losses_of, range(len(steps)))))


def _violations(evidence: Evidence) -> Iterator[Violation]:
    """The first difference of every process, then the parameters at the end."""
    reference_end = final_parameters(evidence.references[0])
    is_different = False
    for life in evidence.faulted.lives:
        number = first_different_state(evidence.wanted(life), life.steps)
        if number is not None and not was_cut_off(life, number):
            is_different = True
            yield _violation(evidence, life, number)
    found_end = final_parameters(evidence.faulted)
    ranks = [rank for rank, end in found_end.items() if rank in reference_end and end != reference_end[rank]]
    if not is_different and ranks and came_to_its_end(evidence.faulted):
        yield Violation(problem=FinalParametersDiffer(rank=ranks[0]), rank=ranks[0])


def _violation(evidence: Evidence, life: Life, number: int) -> Violation:
    step = life.first_step + number
    wanted, found = evidence.wanted(life)[number], life.steps[number]
    problem = StateDiffers(rank=life.rank, step=step, what=_differing(wanted, found))
    why = explain_state_difference(evidence, life, number)
    at = found.batches[0] if found.batches else None
    return violation_of(life, problem, why, step=step, at=at, line=found.line)


def _differing(wanted: TrainedStep, found: TrainedStep) -> Literal["loss", "buffers", "parameters"]:
    if wanted.after != found.after:
        return "parameters"
    return "loss" if wanted.record.buffers == found.record.buffers else "buffers"


def _has_state(step: TrainedStep) -> bool:
    return step.after is not None or _has_any(step.losses)


def _has_any(losses: Iterable[float | None]) -> bool:
    return any(loss is not None for loss in losses)
