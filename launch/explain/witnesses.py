"""What other runs of a step show: how its rank had done it before, and how it is done without a stop."""

from __future__ import annotations

from collections.abc import Iterator

from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life
from resumable.launch.reading.start_states import Start
from resumable.launch.reading.steps import NOTHING, Steps
from resumable.launch.reading.trained import TrainedStep


def was_meant(evidence: Evidence, start: Start, component: str) -> bool:
    """Whether a component that differs from the save is nevertheless what the job has at this step.

    A script may load weights and begin with a new optimizer, or make one in the middle of training: then it does so in
    its uninterrupted run too. And what makes no difference in the step that follows is no loss.
    """
    life = start.life
    witnesses = list(_same_step(evidence, life))
    if component == "gradients":  # a job may do the micro-batches of the window again instead
        return not witnesses or any(witness.keys == life.steps[0].keys for witness in witnesses)
    if component == "optimizer" and component in start.lost and any(w.record.has_new_optimizer for w in witnesses):
        return True
    found = life.steps[0]
    is_visible = component in start.plain and bool(found.record.components)
    return is_visible and any(
        (found.record.components, found.losses) == (w.record.components, w.losses) for w in witnesses
    )


def witnesses_of(evidence: Evidence, life: Life) -> Iterator[tuple[int, Steps]]:
    """Steps of this rank in earlier processes, but for the first after each start, and in the references.

    Each with the number of the first, since training began.
    """
    for other in evidence.faulted.lives:
        if other.rank == life.rank and other.incarnation < life.incarnation:
            yield other.first_step + 1, other.steps[1:]
    for reference in evidence.references:
        timeline = reference.timeline(life.rank)
        if timeline is not None:
            yield 0, timeline.steps


def first_different_batches(evidence: Evidence, life: Life) -> int | None:
    """The first step, since training began, in which a process trained on different batches than it should have."""
    expected = evidence.expected.get(life.rank, NOTHING)[life.first_step :][: len(life.steps)]
    number = life.steps[: len(expected)].first_difference(expected, "keys")
    return None if number is None else life.first_step + number


def _same_step(evidence: Evidence, life: Life) -> Iterator[TrainedStep]:
    """The step that a process did first, as its rank had done it before, and as it is done in the references."""
    for first, steps in witnesses_of(evidence, life):
        if first <= life.first_step < first + len(steps):
            yield steps[life.first_step - first]
