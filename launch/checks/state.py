"""Right batches are not enough: optimizer, scheduler and random state must come back too."""

from __future__ import annotations

import math
from collections.abc import Iterator

from resumable.launch.checks.nothing_left import NOTHING_LEFT, is_nothing_left
from resumable.launch.checks.undisturbed import UNDISTURBED, is_undisturbed
from resumable.launch.explain.restored import all_restored
from resumable.launch.explain.state import explain_drift
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.outcome import CheckResult, Violation, failed, not_applicable, passed, unknown
from resumable.launch.reading.trajectory import Steps, TrainedStep
from resumable.launch.system.wording import counted


def state(evidence: Evidence) -> CheckResult:
    """Losses, parameters and buffers equal those of the uninterrupted run, bit for bit.

    On another number of ranks sums are rounded otherwise: then only that no process goes on with an optimizer as new
    or with the first learning rates.
    """
    if evidence.references and evidence.is_resized:
        return all_restored(evidence)
    reason = _nothing_to_compare(evidence)
    if reason is not None:
        return not_applicable(reason)
    disagreement = _disagreement(evidence)
    if disagreement is not None:
        return unknown(disagreement)
    violations = list(_violations(evidence))
    if any(is_undisturbed(violation, evidence) for violation in violations):
        return unknown(UNDISTURBED, violations)
    if violations:
        return failed(violations[0].sentence, violations)
    return _nothing_differs(evidence)


def _nothing_to_compare(evidence: Evidence) -> str | None:
    if not evidence.references:
        return "there is no uninterrupted run to compare with"
    if not any(_has_state(step) for steps in evidence.expected.values() for step in steps):
        return "neither losses nor parameters were recorded"
    return None


def _nothing_differs(evidence: Evidence) -> CheckResult:
    resumed = evidence.faulted.resumed
    if not resumed:
        return passed(NOTHING_LEFT) if is_nothing_left(evidence) else unknown("no rank trained after a restart")
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
        if number is not None and not _was_cut_off(life, number):
            is_different = True
            yield _violation(evidence, life, number)
    found_end = _final(evidence.faulted)
    if not is_different and found_end != reference_end:
        ranks = [rank for rank in reference_end if found_end.get(rank) != reference_end[rank]]
        yield Violation(sentence=f"rank {ranks[0]} ends with other parameters than the reference", rank=ranks[0])


def _violation(evidence: Evidence, life: Life, number: int) -> Violation:
    step = life.first_step + number
    wanted, found = evidence.expected[life.rank][step], life.steps[number]
    what = "another loss" if wanted.buffers == found.buffers else "other buffers"
    what = "other parameters" if wanted.after != found.after else what
    return Violation(
        sentence=f"rank {life.rank} has {what} than the reference from step {step} on",
        explanation=explain_drift(evidence, life, number),
        rank=life.rank,
        incarnation=life.incarnation,
        step=step,
        epoch=found.batches[0].epoch if found.batches else None,
        batch=found.batches[0].batch if found.batches else None,
        file=life.trajectory.process.file,
        line=found.line,
    )


def _first_difference(expected: Steps, found: Steps) -> int | None:
    pairs = enumerate(zip(expected, found, strict=False))
    return next((number for number, (wanted, got) in pairs if not _is_equal(wanted, got)), None)


def _was_cut_off(life: Life, number: int) -> bool:
    """Whether a process was killed in its last step: of two optimizers, only one may have done its part."""
    return life.trajectory.process.exit is None and number == len(life.steps) - 1


def _is_equal(wanted: TrainedStep, found: TrainedStep) -> bool:
    if not found.line:
        return True  # a step of which only another rank's checkpoint tells
    if (wanted.after, wanted.buffers, len(wanted.losses)) != (found.after, found.buffers, len(found.losses)):
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
