"""In which order the points of a sweep are run: first those at which most mistakes show, then spread over all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from resumable.launch.plan.plan import Scenario
from resumable.launch.sweep.training_length import TrainingLength

_NEAR = 4
"""Steps between two points so near that the second resumes from what the first resume has saved, in the same epoch."""


def in_order(points: Sequence[Scenario], length: TrainingLength) -> list[Scenario]:
    """The points, telling ones first; the others in an order whose every beginning lies spread over all of them."""
    telling = telling_points(points, length)
    names = {point.name for point in telling}
    return [*telling, *spread([point for point in points if point.name not in names])]


def telling_points(points: Sequence[Scenario], length: TrainingLength) -> list[Scenario]:
    """The points nearest to where mistakes live, all that come at one moment after another.

    That is the border of the first two epochs, the middle of the second, some steps later once more, the end, the beginning.
    """
    at: dict[int, list[Scenario]] = {}
    for point in points:
        place = length.place_of(point)
        if place is not None:
            at.setdefault(place, []).append(point)
    wanted = _telling_places(length) if at else []
    nearest = dict.fromkeys(min(at, key=partial(_distance, want)) for want in wanted)
    return [point for place in nearest for point in at[place]]


def spread(points: Sequence[Scenario]) -> list[Scenario]:
    """The points in an order whose every beginning lies spread over all of them.

    Source: the van der Corput sequence in base 2, J. G. van der Corput, "Verteilungsfunktionen", 1935.
    """
    width = max(1, (len(points) - 1).bit_length())
    reversed_bits = {number: int(f"{number:0{width}b}"[::-1], 2) for number in range(len(points))}
    return [points[number] for number in sorted(reversed_bits, key=reversed_bits.__getitem__)]


def _distance(wanted: int, place: int) -> int:
    return abs(place - wanted)


def _telling_places(length: TrainingLength) -> list[int]:
    """In steps done."""
    end = length.num_steps
    _, second, third, *_ = (*length.epoch_starts, end, end, end)
    middle = (second + third) // 2
    return [second, middle, middle + _NEAR, end - 1, 1]
