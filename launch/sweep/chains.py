"""Points of a sweep one after the other in one run: each restart is followed for some steps, then comes the next point.

A point costs what its restart costs, however long the job is. What a restart does wrong later than its tail reaches would
be missed; so tails reach into the epoch after next after one point at each place where mistakes live and after every eighth
of the others, and to the end of the job after the last of each chain. `tails` finds the points whose own were too short.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import accumulate
from operator import itemgetter

import msgspec

from resumable.launch.plan.fault_model import PlannedFault, num_restarts
from resumable.launch.plan.plan import Beginning, Link, Plan, Restarts, Scenario, Tail
from resumable.launch.sweep.order import telling_points
from resumable.launch.sweep.training_length import TrainingLength

TAIL_STEPS = 4
"""At least so many steps beyond the fault are trained on after a restart."""
LONG_TAIL_EVERY = 8
"""After so many points of a chain at most the tail is a long one: it reaches as far into the epoch after next."""
_NUM_FEW = 3
"""Chains beside which one more, of few points, is worth its time."""
_MAX_LINKS = 40
"""A point is judged with all that came before it in its chain, and read back by each rank that starts."""

_Placed = list[tuple[int, Scenario]]
"""Points, each with the steps done when its faults come."""


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
    points: Sequence[Scenario],
    length: TrainingLength,
    restarts: Restarts,
    *,
    tail: Tail,
    max_links: int,
    first_number: int,
) -> list[Scenario]:
    """Chains in which each of these points is hit once, as far as it can be; each goes through the job from its beginning.

    A point that would be the only one of its chain is in none. Where there are many, the first chain goes through the points
    at which most mistakes show, and no others.

    Args:
        points: Of the sweep.
        length: What the references have shown.
        restarts: How the job is started again.
        tail: How far restarts are followed at least.
        max_links: Points of a chain, at most.
        first_number: Of the first chain.
    """
    able = [point for point in points if is_chainable(point, length)]
    telling = telling_points(able, length)
    followed_far = {point.name for point in (able if tail == "epoch" else _last_of_each_place(telling, length))}
    one_pass = partial(_one_pass, followed_far=followed_far, length=length, max_links=min(max_links, _MAX_LINKS))
    passes = _passes(_placed(able, length), one_pass)
    if len(passes) > _NUM_FEW:
        first, _ = one_pass(_placed(telling, length))
        chosen = {point.name for _, point in first}
        rest = [point for point in able if point.name not in chosen]
        passes = [first, *_passes(_placed(rest, length), one_pass)]
    several = (chosen for chosen in passes if len(chosen) > 1)
    return [chain_of(chosen, restarts, number=first_number + own) for own, chosen in enumerate(several)]


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
    chain = restarts.after(tuple(faults), name=chain_name(number), reference=chosen[0][1])
    return msgspec.structs.replace(chain, links=links, keeps_work=True)


def without_link(chain: Scenario, number: int, *, name: str, unwanted: Collection[str] = ()) -> Scenario | None:
    """A chain as it goes on from the life before the one that came behind a link that failed: without that link.

    Args:
        chain: The one that broke.
        number: Of the link that failed.
        name: Of the new chain, which has the links before as its own.
        unwanted: Names of points that are left out too.

    Returns:
        None if no link comes behind, or no life before.
    """
    ends = [*accumulate(link.num_faults for link in chain.links)]
    behind = [own for own in range(number + 1, len(chain.links)) if chain.links[own].point not in unwanted]
    if not (number and behind):
        return None
    wanted = [*range(number), *behind]
    kept = [fault for own in wanted for fault in chain.faults[ends[own] - chain.links[own].num_faults : ends[own]]]
    until = [chain.links[second - 1].until for second in wanted[1:]]
    return msgspec.structs.replace(
        chain,
        name=name,
        faults=tuple(msgspec.structs.replace(fault, number=own) for own, fault in enumerate(kept)),
        links=tuple(
            msgspec.structs.replace(chain.links[own], until=end)
            for own, end in zip(wanted, [*until, None], strict=True)
        ),
        max_restarts=num_restarts(kept),
        begins=Beginning(works_in=chain.works_in, incarnation=number),
    )


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
        _repetition(chain, range(number - before, number + 1), restarts, name=chain_name(first_number + own))
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


def chain_name(number: int) -> str:
    """Name of a chain, and of its folder."""
    return f"chain-{number:04d}"


def _passes(waiting: _Placed, one_pass: Callable[[_Placed], tuple[_Placed, _Placed]]) -> list[_Placed]:
    passes: list[_Placed] = []
    while waiting:
        chosen, waiting = one_pass(waiting)
        passes.append(chosen)
    return passes


def _last_of_each_place(points: Sequence[Scenario], length: TrainingLength) -> Collection[Scenario]:
    """One point of all that come at one moment; the first chain takes the first of them."""
    return dict(_placed(points, length)).values()


def _placed(points: Sequence[Scenario], length: TrainingLength) -> _Placed:
    """Points with their places, in the order in which they come."""
    pairs = [(place, point) for point in points if (place := length.place_of(point)) is not None]
    return sorted(pairs, key=itemgetter(0))


def _leaves_nothing(fault: PlannedFault) -> bool:
    facts = fault.kind.facts
    return fault.rank is not None and facts.needs is None and facts.effect in ("ends", "raises", "stands still")


def _one_pass(
    waiting: _Placed, *, followed_far: Collection[str], length: TrainingLength, max_links: int
) -> tuple[_Placed, _Placed]:
    """The points that one run can hit in turn, and those that are left."""
    chosen: _Placed = []
    left: _Placed = []
    begin = num_short = 0
    for place, point in waiting:
        if place < begin or len(chosen) == max_links:
            left.append((place, point))
            continue
        chosen.append((place, point))
        num_short += 1
        end = place
        if point.name in followed_far or num_short == LONG_TAIL_EVERY:
            end, num_short = _epoch_after_next(place, length), 0
        begin = end + TAIL_STEPS
    return chosen, left


def _epoch_after_next(place: int, length: TrainingLength) -> int:
    """Steps done when the epoch after next begins, or at least the next one; in the last epoch the place itself."""
    later = [start for start in length.epoch_starts if start > place]
    return [place, *later[:2]][-1]
