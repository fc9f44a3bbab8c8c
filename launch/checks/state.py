"""Right batches are not enough: optimizer, scheduler and random state must come back too."""

from __future__ import annotations

import math
from collections.abc import Iterator

from launch.checks.result import CheckResult, Violation, counted, failed, not_applicable, passed, unknown
from launch.evidence import Evidence
from launch.timeline import Life, Run, Steps
from launch.trajectory import TrainedStep


def state(evidence: Evidence) -> CheckResult:
    """Losses and parameters equal those of the uninterrupted run, bit for bit."""
    reason = _nothing_to_compare(evidence)
    if reason is not None:
        return not_applicable(reason)
    disagreement = _disagreement(evidence)
    if disagreement is not None:
        return unknown(disagreement)
    violations = list(_violations(evidence))
    if any(violation.incarnation == 0 for violation in violations):
        return unknown("the run differs before its first restart: the job does not repeat itself", violations)
    if violations:
        return failed(violations[0].sentence, violations)
    return _nothing_differs(evidence)


def _nothing_to_compare(evidence: Evidence) -> str | None:
    if not evidence.references:
        return "there is no uninterrupted run to compare with"
    if evidence.is_resized:
        return "the number of ranks changed, so gradients are summed in another order"
    if not any(_has_state(step) for steps in evidence.expected.values() for step in steps):
        return "neither losses nor parameters were recorded"
    return None


def _nothing_differs(evidence: Evidence) -> CheckResult:
    resumed = [life for life in evidence.faulted.lives if life.resume is not None]
    if not resumed:
        return unknown("no rank trained after a restart")
    num_steps = max(life.first_step + len(life.steps) for life in resumed)
    return passed(f"losses and parameters bit-equal after each of {counted(num_steps, 'step')}")


def _disagreement(evidence: Evidence) -> str | None:
    """Where the references differ from each other."""
    first, *others = evidence.references
    for other in others:
        for one, two in zip(first.timelines, other.timelines, strict=False):
            step = _first_difference(one.steps, two.steps)
            if step is not None:
                return f"the uninterrupted run does not repeat its own losses or parameters from step {step} on"
        if _final(first) != _final(other):
            return "the uninterrupted run does not end with the same parameters twice"
    return None


def _violations(evidence: Evidence) -> Iterator[Violation]:
    """The first difference of every process, then the parameters at the end."""
    reference_end = _final(evidence.references[0])
    is_different = False
    for life in evidence.faulted.lives:
        expected = evidence.expected.get(life.rank, ())
        number = _first_difference(expected[life.first_step :], life.steps)
        if number is not None:
            is_different = True
            yield _violation(life, expected, number)
    found_end = _final(evidence.faulted)
    if not is_different and found_end != reference_end:
        ranks = [rank for rank in reference_end if found_end.get(rank) != reference_end[rank]]
        yield Violation(sentence=f"rank {ranks[0]} ends with other parameters than the reference", rank=ranks[0])


def _violation(life: Life, expected: Steps, number: int) -> Violation:
    step = life.first_step + number
    wanted, found = expected[step], life.steps[number]
    what = "other parameters" if wanted.after != found.after else "another loss"
    return Violation(
        sentence=f"rank {life.rank} has {what} than the reference from step {step} on",
        explanation=_explanation(life, expected, number),
        rank=life.rank,
        incarnation=life.incarnation,
        step=step,
        epoch=found.batches[0].epoch if found.batches else None,
        batch=found.batches[0].batch if found.batches else None,
        file=life.trajectory.process.file,
        line=found.line,
    )


def _explanation(life: Life, expected: Steps, number: int) -> str:
    rest = expected[life.first_step :]
    pairs = list(zip(rest, life.steps, strict=False))[: number + 1]
    if any(wanted.keys != found.keys for wanted, found in pairs):
        return "it follows from the batches, which differ already"
    if life.resume is None:
        return ""
    if life.resume.how != "parameters":
        return "batches are right but the parameters that it started from are not: is the model's state loaded?"
    return (
        f"batches are right but the parameters differ from step {life.first_step + number} on: "
        "is the optimizer's, the scheduler's and the random state saved and loaded?"
    )


def _first_difference(expected: Steps, found: Steps) -> int | None:
    pairs = enumerate(zip(expected, found, strict=False))
    return next((number for number, (wanted, got) in pairs if not _is_equal(wanted, got)), None)


def _is_equal(wanted: TrainedStep, found: TrainedStep) -> bool:
    if not found.line:
        return True  # a step of which only another rank's checkpoint tells
    if wanted.after != found.after or len(wanted.losses) != len(found.losses):
        return False
    return all(map(_is_same_loss, wanted.losses, found.losses))


def _is_same_loss(wanted: float | None, found: float | None) -> bool:
    """Bit-equal; a loss that is no number equals itself."""
    if wanted is None or found is None:
        return wanted is found
    return wanted == found or (math.isnan(wanted) and math.isnan(found))


def _has_state(step: TrainedStep) -> bool:
    return step.after is not None or any(loss is not None for loss in step.losses)


def _final(run: Run) -> dict[int, str | None]:
    """Digest of the parameters at the end, by rank."""
    last = run.history.incarnations[-1:]
    exits = {p.rank: p.exit for p in run.history.processes if p.incarnation in last}
    return {rank: exit_.parameters for rank, exit_ in exits.items() if exit_ is not None}
