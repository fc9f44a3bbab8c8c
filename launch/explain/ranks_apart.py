"""Where the ranks of a group went on, and whether they stand together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from resumable.launch.reading.lives import Life, Run


def resumed_in(run: Run, incarnation: int) -> list[Life]:
    """The processes of a group that trained after the restart, by rank."""
    return [life for life in run.resumed if life.incarnation == incarnation]


def places_apart(
    run: Run, incarnation: int
) -> Iterator[tuple[Literal["step", "sampler epoch"], Mapping[int, int | None]]]:
    """In what the ranks of a group differed when they went on: the place of a rank, of each place the first rank."""
    lives = resumed_in(run, incarnation)
    first = min((life.common_step for life in lives), default=0)
    sat_out = {life.rank for life in lives if first in run.lockstep.common(life.rank, life.first_step)}
    steps = _first_ranks({life.rank: first if life.rank in sat_out else life.common_step for life in lives})
    epochs = _first_ranks({life.rank: life.trajectory.sampler_epoch for life in lives})
    if len(steps) > 1:
        yield "step", steps
    if len(epochs) > 1:
        yield "sampler epoch", epochs


def _first_ranks(places: Mapping[int, int | None]) -> dict[int, int | None]:
    first: dict[int | None, int] = {}
    for rank, place in places.items():
        first.setdefault(place, rank)
    return {rank: place for place, rank in first.items()}
