"""Whether the uninterrupted run repeats its own numbers: losses, parameters and buffers after each step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.lives import Run
from resumable.launch.reading.trajectory import Steps, TrainedStep


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """Where two references part."""

    step: int | None
    """The first step after which they differ; None: only at the end."""


def disagreement(references: Sequence[Run]) -> Disagreement | None:
    """Where the references first differ from each other in their numbers; None if they never do."""
    steps = []
    is_end_different = False
    for other in references[1:]:
        for one, two in zip(references[0].timelines, other.timelines, strict=False):
            step = first_different_state(one.steps, two.steps)
            steps += [] if step is None else [step]
        is_end_different |= final_parameters(references[0]) != final_parameters(other)
    if steps or is_end_different:
        return Disagreement(step=min(steps, default=None))
    return None


class Distance(msgspec.Struct, frozen=True, kw_only=True):
    """How far apart the numbers of two runs are at most, each relative to the greater one; None where not recorded."""

    loss: float | None = None
    """Of one backward pass."""
    parameter_norm: float | None = None
    """After one step."""


def distances(references: Sequence[Run], faulted: Run) -> tuple[Distance, Distance]:
    """How far the references are from each other, and the faulted run from the nearest of them, step by step."""
    pairs = [(one, other) for number, one in enumerate(references) for other in references[:number]]
    apart = _farthest([_distance([_series(one)], _series(other)) for one, other in pairs])
    return apart, _distance([_series(reference) for reference in references], _series(faulted))


def first_different_state(expected: Steps, found: Steps) -> int | None:
    """The first step of both whose state differs; one of which only another rank's checkpoint tells has none."""
    seen = [(wanted, got) for wanted, got in zip(expected, found, strict=False)]
    return first_difference(
        [_state_after(wanted if got.line else TrainedStep()) for wanted, got in seen],
        [_state_after(got if got.line else TrainedStep()) for _, got in seen],
    )


def final_parameters(run: Run) -> dict[int, str | None]:
    """Digest of the parameters at the end, by rank; without those of who had nothing to train and did not tell."""
    last = [life for life in run.lives if life.incarnation in run.history.incarnations[-1:]]
    exits = {life.rank: (life, life.trajectory.process.exit) for life in last}
    return {
        rank: exit_.parameters
        for rank, (life, exit_) in exits.items()
        if exit_ is not None and (life.steps or exit_.parameters is not None)
    }


_Series = dict[tuple[str, int, int, int], float]
"""Numbers by what they are, rank, step, and number of the backward pass in the step."""


def _series(run: Run) -> _Series:
    series: _Series = {}
    for timeline in run.timelines:
        for number, step in enumerate(timeline.steps):
            if step.record.parameter_norm is not None:
                series["norm", timeline.rank, number, 0] = step.record.parameter_norm
            for place, loss in enumerate(step.losses):
                if loss is not None:
                    series["loss", timeline.rank, number, place] = loss
    return series


def _distance(references: Sequence[_Series], found: _Series) -> Distance:
    """Of each number from the nearest of the references'; those of steps that only one has do not count."""
    most: dict[str, float] = {}
    for key, value in found.items():
        others = [reference[key] for reference in references if key in reference]
        relative = [_relative(value, other) for other in others]
        if relative:
            most[key[0]] = max(most.get(key[0], 0.0), min(relative))
    return Distance(loss=most.get("loss"), parameter_norm=most.get("norm"))


def _relative(one: float, other: float) -> float:
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    distance = abs(one - other) / max(abs(one), abs(other))
    return distance if math.isfinite(distance) else math.inf


def _farthest(all_: Sequence[Distance]) -> Distance:
    losses = [one.loss for one in all_ if one.loss is not None]
    norms = [one.parameter_norm for one in all_ if one.parameter_norm is not None]
    return Distance(loss=max(losses, default=None), parameter_norm=max(norms, default=None))


def _state_after(step: TrainedStep) -> tuple[object, ...]:
    """What is compared, bit for bit; a loss that is no number equals itself."""
    losses = tuple("nan" if loss is not None and math.isnan(loss) else loss for loss in step.losses)
    return (step.after, step.record.buffers, losses)
