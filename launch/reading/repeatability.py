"""Whether the uninterrupted run repeats its own numbers: losses, parameters and buffers after each step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from resumable.launch.reading.lives import Run
from resumable.launch.reading.step_table import StepColumn, known
from resumable.launch.reading.steps import NOTHING, Steps


def repeats(references: Sequence[Run]) -> bool:
    """Whether the references are equal to each other in their numbers, after each step and at the end."""
    return all(_is_equal(references[0], other) for other in references[1:])


def _is_equal(one: Run, other: Run) -> bool:
    steps = {timeline.rank: timeline.steps for timeline in other.timelines}
    found = (first_different_state(steps.get(own.rank, NOTHING), own.steps) for own in one.timelines)
    return set(found) <= {None} and final_parameters(one) == final_parameters(other)


class Distance(msgspec.Struct, frozen=True, kw_only=True):
    """How far apart the numbers of two runs are at most, each relative to the greater one; None where not recorded."""

    loss: float | None = None
    """Of one backward pass."""
    parameter_norm: float | None = None
    """After one step."""


def distances(references: Sequence[Run], faulted: Run) -> tuple[Distance, Distance]:
    """How far the references are from each other, and the faulted run from the nearest of them, step by step."""
    pairs = [_distance([one], other) for number, one in enumerate(references) for other in references[:number]]
    apart = Distance(
        loss=_most(pair.loss for pair in pairs), parameter_norm=_most(pair.parameter_norm for pair in pairs)
    )
    return apart, _distance(references, faulted)


STATE: tuple[StepColumn, ...] = ("afters", "buffers", "losses")
"""What of the state is compared after each step, bit for bit."""


def first_different_state(expected: Steps, found: Steps) -> int | None:
    """The first step of both whose state differs; one of which only another rank's checkpoint tells has none."""
    num_steps = min(len(expected), len(found))
    begin = 0
    while True:
        number = found[begin:num_steps].first_difference(expected[begin:num_steps], *STATE)
        if number is None or found[begin + number].line:
            return None if number is None else begin + number
        begin += number + 1


def final_parameters(run: Run) -> dict[int, str | None]:
    """Digest of the parameters at the end, by rank; without those of who had nothing to train and did not tell."""
    last = run.history.incarnations[-1:]
    ends = [(life, life.process.exit) for life in run.lives if life.incarnation in last]
    return {
        life.rank: exit_.parameters
        for life, exit_ in ends
        if exit_ is not None and (life.steps or exit_.parameters is not None)
    }


def _distance(references: Sequence[Run], found: Run) -> Distance:
    """Of each number from the nearest of the references'; those of steps that only one has do not count."""
    pairs = [
        (timeline.steps, [other.steps for run in references if (other := run.timeline(timeline.rank)) is not None])
        for timeline in found.timelines
    ]
    return Distance(
        loss=_most(distance for steps, others in pairs for distance in _losses_apart(steps, others)),
        parameter_norm=_most(distance for steps, others in pairs for distance in _norms_apart(steps, others)),
    )


def _losses_apart(found: Steps, others: Sequence[Steps]) -> Iterator[float | None]:
    for number in range(len(found)):
        there = [other.losses_of(number) for other in others if number < len(other)]
        for place, loss in enumerate(found.losses_of(number)):
            yield _nearest(loss, [losses[place] for losses in there if place < len(losses)])


def _norms_apart(found: Steps, others: Sequence[Steps]) -> Iterator[float | None]:
    columns = [other.figures("norms") for other in others]
    for number, norm in enumerate(found.figures("norms")):
        yield _nearest(known(norm), [known(column[number]) for column in columns if number < len(column)])


def _nearest(value: float | None, others: Iterable[float | None]) -> float | None:
    """How far a number is from the nearest of the others; None where not recorded."""
    recorded = [other for other in others if other is not None]
    return None if value is None else min([_relative(value, other) for other in recorded], default=None)


def _relative(one: float, other: float) -> float:
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    distance = abs(one - other) / max(abs(one), abs(other))
    return distance if math.isfinite(distance) else math.inf


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
