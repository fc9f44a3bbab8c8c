"""Points of a sweep one after the other in one run: each restart is followed for some steps, then comes the next point.

A point costs what its restart costs, however long the job is. What a restart does wrong later than its tail reaches would
be missed; so the tail of every eighth point reaches into the epoch after next, and the last one of each chain to the end of
the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import msgspec

from resumable.launch.plan.fault_model import PlannedFault
from resumable.launch.plan.plan import Link, Plan, Restarts, Scenario
from resumable.launch.sweep.order import telling_points
from resumable.launch.sweep.training_length import TrainingLength

TAIL_STEPS = 4
"""At least so many steps beyond the fault are trained on after a restart."""
LONG_TAIL_EVERY = 8
"""Every so many points of a chain the tail is a long one: it reaches as far into the epoch after next."""
_NUM_FEW = 3
"""Chains beside which one more, of few points, is worth its time."""
_MAX_LINKS = 40
"""A point is judged with all that came before it in its chain, and read back by each rank that starts."""


def can_be_chained(plan: Plan, length: TrainingLength, *, repeats: bool) -> bool:
    """Whether a point can begin where the one before has left the job.

    Args:
        plan: Of the sweep.
        length: What the references have shown.
        repeats: Their numbers do: only then equal numbers show that a restart has left no trace.
    """
    spec = plan.sweep
    if spec is None or not spec.is_chained or not repeats:
        return False
    saves = any(own.saves for own in length.ranks.values())
    return saves and spec.restarts.method == "agent" and spec.restarts.max_restarts is None


def is_chainable(point: Scenario, length: TrainingLength) -> bool:
    """Whether a point can be one among others in a run.

    It cannot where a fault leaves more behind than a job that has to be started again: a damaged checkpoint, a lost node;
    and where its moment is counted in what restarts repeat.
    """
    is_one_moment = len({fault.when for fault in point.faults}) == 1
    return is_one_moment and all(map(_leaves_nothing, point.faults)) and length.place_of(point) is not None


def chains_of(
    points: Sequence[Scenario], length: TrainingLength, restarts: Restarts, *, max_links: int, first_number: int
) -> list[Scenario]:
    """Chains in which each of these points is hit once, as far as it can be; each goes through the job from its beginning.

    Where there are many, the first one goes through the points at which most mistakes show, and no others.

    Args:
        points: Of the sweep.
        length: What the references have shown.
        restarts: How the job is started again.
        max_links: Points of a chain, at most.
        first_number: Of the first chain.
    """
    able = [point for point in points if is_chainable(point, length)]
    passes = _passes(_placed(able, length), length, min(max_links, _MAX_LINKS))
    if len(passes) > _NUM_FEW:
        first, _ = _one_pass(_placed(telling_points(able, length), length), length, max_links)
        chosen = [point.name for _, point in first]
        rest = [point for point in able if point.name not in chosen]
        passes = [first, *_passes(_placed(rest, length), length, min(max_links, _MAX_LINKS))]
    return [chain_of(chosen, restarts, number=first_number + own) for own, chosen in enumerate(passes)]


def chain_of(chosen: Sequence[tuple[int, Scenario]], restarts: Restarts, *, number: int) -> Scenario:
    """One chain of these points, each with its place; they come in this order."""
    faults: list[PlannedFault] = []
    for _, point in chosen:
        faults += [msgspec.structs.replace(fault, number=len(faults) + own) for own, fault in enumerate(point.faults)]
    ends = [place for place, _ in chosen[1:]]
    links = tuple(
        Link(point=point.name, num_faults=len(point.faults), until=end)
        for (_, point), end in zip(chosen, [*ends, None], strict=True)
    )
    chain = restarts.after(tuple(faults), name=_name(number), reference=chosen[0][1])
    return msgspec.structs.replace(chain, links=links)


def repetitions_of(chain: Scenario, number: int, restarts: Restarts, first_number: int) -> list[Scenario]:
    """Chains that repeat what led to the failure of one link: the link before it, then all before it.

    Args:
        chain: The one that broke.
        number: Of the link that failed.
        restarts: How the job is started again.
        first_number: Of the first of these chains.
    """
    nums_before = sorted({1, number}) if number else []
    return [
        _repetition(chain, range(number - before, number + 1), restarts, name=_name(first_number + own))
        for own, before in enumerate(nums_before)
    ]


def _repetition(chain: Scenario, numbers: range, restarts: Restarts, *, name: str) -> Scenario:
    first = sum(link.num_faults for link in chain.links[: numbers.start])
    links = chain.links[numbers.start : numbers.stop]
    kept = chain.faults[first : first + sum(link.num_faults for link in links)]
    faults = tuple(msgspec.structs.replace(fault, number=own) for own, fault in enumerate(kept))
    *before, last = links
    repeated = restarts.after(faults, name=name, reference=chain)
    return msgspec.structs.replace(
        repeated,
        links=(
            *(msgspec.structs.replace(link, point="") for link in before),
            msgspec.structs.replace(last, until=None),
        ),
    )


def _name(number: int) -> str:
    return f"chain-{number:04d}"


def _passes(
    waiting: Sequence[tuple[int, Scenario]], length: TrainingLength, max_links: int
) -> list[list[tuple[int, Scenario]]]:
    passes: list[list[tuple[int, Scenario]]] = []
    while waiting:
        chosen, waiting = _one_pass(waiting, length, max_links)
        passes.append(chosen)
    return passes


def _placed(points: Sequence[Scenario], length: TrainingLength) -> list[tuple[int, Scenario]]:
    """Points with their places, in the order in which they come."""
    pairs = [(place, point) for point in points if (place := length.place_of(point)) is not None]
    return sorted(pairs, key=itemgetter(0))


def _leaves_nothing(fault: PlannedFault) -> bool:
    facts = fault.kind.facts
    return fault.rank is not None and facts.needs is None and facts.effect in ("ends", "raises", "stands still")


def _one_pass(
    waiting: Sequence[tuple[int, Scenario]], length: TrainingLength, max_links: int
) -> tuple[list[tuple[int, Scenario]], list[tuple[int, Scenario]]]:
    """The points that one run can hit in turn, and those that are left."""
    chosen: list[tuple[int, Scenario]] = []
    left: list[tuple[int, Scenario]] = []
    begin = 0
    for place, point in waiting:
        if place < begin or len(chosen) == max_links:
            left.append((place, point))
            continue
        chosen.append((place, point))
        is_long = len(chosen) % LONG_TAIL_EVERY == 0
        begin = TAIL_STEPS + (_epoch_after_next(place, length) if is_long else place)
    return chosen, left


def _epoch_after_next(place: int, length: TrainingLength) -> int:
    """Steps done when the epoch after next begins; where there is none, the place itself."""
    later = [start for start in length.epoch_starts if start > place]
    return later[1] if len(later) > 1 else place
