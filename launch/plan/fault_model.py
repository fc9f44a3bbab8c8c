"""Faults as data: what is done, to whom, and when.

`fault_grammar` reads them from a command line as `FaultRequest`s, Python code builds those directly; `resolve` turns the
requests of one command line into `PlannedFault`s, each for exactly one rank or node: `rank=all` becomes one for every rank,
`rank=any` is drawn. What stands in the plan holds no choice any more.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from resumable.launch.errors import FaultSyntaxError
from resumable.launch.plan.fault_kinds import FaultKind


class Point(StrEnum):
    """What the moment of a fault is counted in."""

    BATCH = "batch"
    STEP = "step"
    EPOCH_BATCH = "epoch_batch"
    RESUME = "resume"
    SAVE = "save"
    LOAD = "load"


class Part(StrEnum):
    """The part of a save."""

    BEFORE = "before"
    DURING = "during"
    """Half of the bytes are written; of a distributed checkpoint, half of the rank's tensors, and nothing calls it whole."""
    AFTER = "after"
    """The file is in its place."""


def default_part(kind: FaultKind) -> Part:
    """The part of a save that `save#N` stands for: a checkpoint in place, but for errors while it is written."""
    return Part.DURING if kind.facts.needs == "save" else Part.AFTER


class Who(StrEnum):
    """Ranks or nodes that the plan has still to name."""

    ANY = "any"
    ALL = "all"


class When(msgspec.Struct, frozen=True):
    """The moment at which a fault fires; counts are since training began, over all restarts, from 0."""

    point: Point
    numbers: tuple[int, ...]
    """epoch_batch: epoch and batch; all others: one number."""
    part: Part | None = None
    """Only for save."""

    def __post_init__(self) -> None:
        expected = 2 if self.point is Point.EPOCH_BATCH else 1
        if len(self.numbers) != expected:
            raise ValueError(f"{self.point}: numbers={list(self.numbers)}, expected {expected}")

    @property
    def is_after_a_restart(self) -> bool:
        """Whether it comes only once the job has been started again."""
        return self.point in (Point.RESUME, Point.LOAD)

    def __str__(self) -> str:
        match self.point:
            case Point.EPOCH_BATCH:
                return f"epoch={self.numbers[0]},batch={self.numbers[1]}"
            case Point.RESUME:
                return f"resume+{self.numbers[0]}"
            case Point.SAVE:
                return f"save#{self.numbers[0]}+{self.part}"
            case Point.LOAD:
                return f"load#{self.numbers[0]}"
            case _:
                return f"{self.point}={self.numbers[0]}"


class PlannedFault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that will be done to one rank or one node, once."""

    number: int
    """Its place in the plan, from 0."""
    kind: FaultKind
    when: When
    rank: int | None = None
    """The rank that it is done to, or whose node it is done to; None: `node` says it."""
    node: int | None = None
    """The node, as the supervisor numbers them."""
    argument: float | None = None
    """Meaning and unit stand in the table of kinds."""

    def __str__(self) -> str:
        who = f"node={self.node}" if self.rank is None else f"rank={self.rank}"
        return f"{self.kind.call(self.argument)}@{self.when}:{who}"


class FaultRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A fault as the user asked for it: who is hit may still be open.

    Raises:
        FaultSyntaxError: the kind is never done to a node, never happens at that moment, or takes a different argument;
            the message says which, without the fault.
    """

    kind: FaultKind
    when: When
    who: int | Who
    is_node: bool = False
    """`who` counts nodes, not ranks."""
    argument: float | None = None

    def __post_init__(self) -> None:
        reason = _why_impossible(self)
        if reason is not None:
            raise FaultSyntaxError(reason)


def resolve(
    requests: Sequence[FaultRequest], *, world_size: int, num_nodes: int = 1, seed: int
) -> tuple[PlannedFault, ...]:
    """Faults of one rank or node each, numbered in order; `any` is drawn from `seed`.

    `any` at a save or a load is rank 0: in most jobs the others write nothing.
    """
    draw = random.Random(f"faults/{seed}")
    faults: list[PlannedFault] = []
    for request in requests:
        for number in _numbers(request, num_nodes if request.is_node else world_size, draw):
            faults.append(
                PlannedFault(
                    number=len(faults),
                    kind=request.kind,
                    when=request.when,
                    rank=None if request.is_node else number,
                    node=number if request.is_node else None,
                    argument=request.argument,
                )
            )
    return tuple(faults)


def num_restarts(faults: Iterable[PlannedFault]) -> int:
    """How many restarts the faults ask for at most: those that fire at the same moment cost one together.

    A node that comes back may cost another one. Each agent ends its ranks to let it in; where the first that are asked to
    stop make the ranks of other agents stop with them, those agents take it for a failure.
    """
    losses = {fault.when for fault in faults}
    returns = {fault.when for fault in faults if _node_comes_back(fault)}
    return len(losses) + len(returns)


def _why_impossible(request: FaultRequest) -> str | None:
    kind, facts, when = request.kind, request.kind.facts, request.when
    if request.is_node and facts.deed is None:
        return f"{kind} is done to a rank, not to a node"
    if facts.needs == "save" and when.part is not Part.DURING:
        return f"{kind} happens during a save: save#N"
    if facts.needs == "checkpoint" and when.part in (Part.BEFORE, Part.DURING):
        return f"{kind} needs a checkpoint that has been written: save#N+after"
    return kind.problem_with(request.argument)


def _node_comes_back(fault: PlannedFault) -> bool:
    return fault.kind.facts.effect == "takes a node" and fault.argument is not None


def _numbers(request: FaultRequest, num: int, draw: random.Random) -> Sequence[int]:
    if request.who is Who.ALL:
        return range(num)
    if request.who is Who.ANY:
        is_drawn = request.is_node or request.when.point not in (Point.SAVE, Point.LOAD)
        return (draw.randrange(num) if is_drawn else 0,)
    return (request.who,)
