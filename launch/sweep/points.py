"""The points of a sweep: which fault befalls whom at which moment, each a scenario of its own."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

import msgspec

from resumable.launch.errors import UsageError
from resumable.launch.plan.fault_kinds import FaultKind
from resumable.launch.plan.fault_model import FaultRequest, PlannedFault, Point, When, resolve
from resumable.launch.plan.plan import Plan, SweepSpec
from resumable.launch.plan.sweep_words import parse_at, parse_kinds, parse_ranks, rank_groups
from resumable.launch.sweep.order import in_order
from resumable.launch.sweep.training_length import TrainingLength

_NUMBER = re.compile(r"\d+")
_UNNAMEABLE = re.compile(r"[^a-z0-9.]")


def with_points(plan: Plan, length: TrainingLength) -> Plan:
    """The plan of a sweep with all its points in it, one scenario each.

    The points stand in the order in which they are run.

    Args:
        plan: of the sweep; its references alone.
        length: what the references have shown.

    Raises:
        UsageError: a listed moment at which nothing can be done to any of the ranks.
    """
    spec, reference = plan.sweep, plan.references[0]
    if spec is None:
        raise ValueError(f"command={plan.command}: only a sweep has points")
    points = [
        spec.restarts.after(faults, name=name, reference=reference)
        for name, faults in _named_faults(spec, length, seed=plan.seed)
    ]
    drawn = points
    if spec.sample is not None and spec.sample < len(points):
        numbers = sorted(random.Random(f"sweep/{plan.seed}").sample(range(len(points)), spec.sample))
        drawn = [points[number] for number in numbers]
    return msgspec.structs.replace(
        plan,
        scenarios=(*plan.references, *in_order(drawn, length)),
        sweep=msgspec.structs.replace(spec, num_points=len(points)),
    )


def without_points(plan: Plan) -> Plan:
    """The plan as it was before the points were drawn."""
    if plan.sweep is None:
        return plan
    return msgspec.structs.replace(
        plan, scenarios=plan.references, sweep=msgspec.structs.replace(plan.sweep, num_points=None)
    )


def _named_faults(
    spec: SweepSpec, length: TrainingLength, *, seed: int
) -> Iterator[tuple[str, tuple[PlannedFault, ...]]]:
    ranks = parse_ranks(spec.ranks, world_size=len(length.ranks))
    draw = random.Random(f"ranks/{seed}")
    missed = dict.fromkeys(parse_at(spec.at).listed)
    for kind in parse_kinds(spec.kinds):
        for when in _moments(spec, length):
            able = [rank for rank in sorted(length.ranks) if _can_happen(kind.kind, when, rank, length)]
            for name, group in rank_groups(ranks, able, draw):
                missed.pop(when, None)
                requests = [*_first_fault(when, group, length), *(kind.at(when, rank=rank) for rank in group)]
                yield (
                    f"{_slug(kind.word)}-{_slug(_padded(str(when)))}-{name}",
                    resolve(requests, world_size=0, seed=seed),
                )
    for when in missed:
        is_reached = any(rank_groups(ranks, [rank for rank in sorted(length.ranks) if length.has(when, rank)], draw))
        what = f"there is no checkpoint to damage at {when}" if is_reached else f"none of the ranks reaches {when}"
        raise UsageError(f"--at {spec.at}: {what}; {_described(length)}")


def _moments(spec: SweepSpec, length: TrainingLength) -> Sequence[When]:
    moments = parse_at(spec.at)
    if moments.every is None:
        return moments.listed
    return [When(Point.STEP, (step,)) for step in range(0, length.num_steps, moments.every)]


def _can_happen(kind: FaultKind, when: When, rank: int, length: TrainingLength) -> bool:
    is_there = kind.facts.needs != "checkpoint" or length.has_checkpoint(when, rank)
    return is_there and length.has(when, rank)


def _first_fault(when: When, ranks: Sequence[int], length: TrainingLength) -> Iterator[FaultRequest]:
    """A moment that comes after a restart needs one: the first of the ranks is killed half way."""
    if when.is_after_a_restart:
        yield FaultRequest(kind=FaultKind.SIGKILL, when=When(Point.STEP, (length.num_steps // 2,)), who=ranks[0])


def _padded(text: str) -> str:
    """With numbers of four digits, so that names sort."""
    return _NUMBER.sub(lambda match: match[0].zfill(4), text)


def _slug(text: str) -> str:
    """A part of a folder's name."""
    return _UNNAMEABLE.sub("", text)


def _described(length: TrainingLength) -> str:
    num_saves = ", ".join(str(len(own.saves)) for _, own in sorted(length.ranks.items()))
    return f"training has {length.num_steps} steps, and the ranks save {num_saves} times"
