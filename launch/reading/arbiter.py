"""The state is the arbiter of what a job trained on: no wrong batch leaves losses and parameters right to the last bit."""

from __future__ import annotations

from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.failures import came_to_its_end
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.repeatability import STATE, final_parameters
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import TrainedStep


def num_equal_steps(evidence: Evidence) -> int | None:
    """How many steps have losses and parameters that are those of the uninterrupted run; None unless that holds for all.

    All steps of all processes are meant, those included that a restart threw away, and the parameters at the end. Steps
    whose loss or parameters are not known prove nothing, nor do those of a different number of ranks, whose sums round
    differently.
    """
    run = evidence.faulted
    lengths = {timeline.rank: len(timeline.steps) for timeline in run.timelines}
    expected = {rank: len(steps) for rank, steps in evidence.expected.items()}
    if lengths != expected or not came_to_its_end(run):  # without references, or on different ranks, lengths differ
        return None
    if final_parameters(run) != final_parameters(evidence.references[0]):
        return None
    if not all(_is_equal(life, evidence.expected[life.rank]) for life in run.lives):
        return None
    return sum(len(life.steps) for life in run.lives) or None


def first_left_out(evidence: Evidence) -> int | None:
    """Steps done, since training began, when a gradient scaler first left out one that no reference left out there.

    Where numbers do not repeat a gradient may overflow in one run alone; None where they do, or if there is no such step.
    """
    if evidence.numbers_repeat:
        return None
    by_chance = _left_out(evidence.faulted).difference(*map(_left_out, evidence.references))
    return min((step for _, step in by_chance), default=None)


def _left_out(run: Run) -> set[tuple[int, int]]:
    return {(life.rank, life.first_step + number) for life in run.lives for number in life.trajectory.left_out}


def was_cut_off(life: Life, number: int) -> bool:
    """Whether a process was killed in its last step: of two optimizers, only one may have done its part."""
    return life.process.exit is None and number == len(life.steps) - 1


def _is_equal(life: Life, expected: Steps) -> bool:
    wanted = expected[life.first_step : life.end_step]
    number = life.steps.first_difference(wanted, *STATE)
    if number is not None and not was_cut_off(life, number):
        return False
    return all(map(_is_known, life.steps[:number]))


def _is_known(step: TrainedStep) -> bool:
    return step.after is not None and bool(step.losses) and None not in step.losses
