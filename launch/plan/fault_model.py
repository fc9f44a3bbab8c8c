"""Faults as data: what is done, to whom, and when.

`grammar` reads them from a command line as `FaultRequest`s; `resolve` turns the requests of one command line into
`Fault`s, each for exactly one rank or node: `rank=all` becomes one for every rank, `rank=any` is drawn. What stands in the
plan holds no choice any more.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What is done."""

    SIGKILL = "sigkill"
    SIGTERM = "sigterm"
    """SIGTERM, and SIGKILL to who still lives after the grace."""
    SIGINT = "sigint"
    EXIT = "exit"
    EXCEPTION = "exception"
    ABORT = "abort"
    """SIGABRT, as from a failed assertion in C++."""
    HANG = "hang"
    """The main thread sleeps for good; the process answers signals."""
    SIGSTOP = "sigstop"
    """The process is stopped: it answers nothing."""
    LOADERKILL = "loaderkill"
    """SIGKILL to one of the rank's loader workers."""
    TORN = "torn"
    """The newest checkpoint loses its end, and the rank is killed: what a power cut leaves."""
    CORRUPT = "corrupt"
    """Bytes in the middle of the newest checkpoint change, and the rank is killed."""
    DISKFULL = "diskfull"
    """Writing a checkpoint raises ENOSPC half way."""
    IOERROR = "ioerror"
    """Writing a checkpoint raises EIO half way."""
    PREEMPT = "preempt"
    """A node's elastic agent gets SIGTERM, which it hands on to its ranks; after the grace all of the node is killed."""
    NODELOSS = "nodeloss"
    """All processes of a node are killed at once."""
    PARTITION = "partition"
    """A node is cut off from the others for a while."""


NODE_KINDS = frozenset({Kind.PREEMPT, Kind.NODELOSS, Kind.PARTITION})
"""Done to a node, by the supervisor; all others a rank does to itself."""
SAVE_ERRORS = frozenset({Kind.DISKFULL, Kind.IOERROR})
"""Happen while a checkpoint is written; the job may survive them."""
CHECKPOINT_DAMAGE = frozenset({Kind.TORN, Kind.CORRUPT})
"""Need a checkpoint that has been written."""
STANDSTILLS = frozenset({Kind.HANG, Kind.SIGSTOP})
"""Need a hang watch to end them."""


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


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """The one argument that a kind of fault takes."""

    name: str
    low: float
    high: float
    default: float | None = None
    is_required: bool = False
    is_whole: bool = False
    meaning: str

    def __str__(self) -> str:
        return f"{self.name}={self.meaning}"


ARGUMENTS = {
    Kind.EXIT: Argument(name="code", low=0, high=255, is_required=True, is_whole=True, meaning="0..255"),
    Kind.SIGTERM: Argument(name="grace", low=0, high=86_400, default=30, meaning="SECONDS"),
    Kind.PREEMPT: Argument(name="grace", low=0, high=86_400, default=30, meaning="SECONDS"),
    Kind.TORN: Argument(name="keep", low=0, high=1e12, default=0.5, meaning="FRACTION or bytes"),
    Kind.NODELOSS: Argument(name="replace", low=0, high=86_400, meaning="SECONDS until a new node comes"),
    Kind.PARTITION: Argument(name="for", low=0, high=86_400, is_required=True, meaning="SECONDS"),
}


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that will be done to one rank or one node, once."""

    number: int
    """Its place in the plan, from 0."""
    kind: Kind
    when: When
    rank: int | None = None
    """The rank that it is done to, or whose node it is done to; None: `node` says it."""
    node: int | None = None
    """The node, as the supervisor numbers them."""
    argument: float | None = None
    """Meaning and unit stand in `ARGUMENTS`."""

    def __str__(self) -> str:
        who = f"node={self.node}" if self.rank is None else f"rank={self.rank}"
        return f"{_call(self.kind, self.argument)}@{self.when}:{who}"


class FaultRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A fault as the user wrote it: who is hit may still be open."""

    kind: Kind
    when: When
    who: int | Who
    is_node: bool = False
    """`who` counts nodes, not ranks."""
    argument: float | None = None


def resolve(requests: Sequence[FaultRequest], *, world_size: int, num_nodes: int = 1, seed: int) -> tuple[Fault, ...]:
    """Faults of one rank or node each, numbered in order; `any` is drawn from `seed`.

    `any` at a save or a load is rank 0: in most jobs the others write nothing.
    """
    draw = random.Random(f"faults/{seed}")
    faults: list[Fault] = []
    for request in requests:
        for number in _numbers(request, num_nodes if request.is_node else world_size, draw):
            faults.append(
                Fault(
                    number=len(faults),
                    kind=request.kind,
                    when=request.when,
                    rank=None if request.is_node else number,
                    node=number if request.is_node else None,
                    argument=request.argument,
                )
            )
    return tuple(faults)


def num_restarts(faults: Iterable[Fault]) -> int:
    """How many restarts the faults ask for at most: those that fire at the same moment cost one together.

    A node that comes back may cost another one. Each agent ends its ranks to let it in; where the first that are asked to
    stop make the ranks of other agents stop with them, those agents take it for a failure.
    """
    losses = {fault.when for fault in faults}
    returns = {fault.when for fault in faults if _node_comes_back(fault)}
    return len(losses) + len(returns)


def _node_comes_back(fault: Fault) -> bool:
    return fault.kind is Kind.PARTITION or (fault.kind is Kind.NODELOSS and fault.argument is not None)


def _numbers(request: FaultRequest, num: int, draw: random.Random) -> Sequence[int]:
    if request.who is Who.ALL:
        return range(num)
    if request.who is Who.ANY:
        is_drawn = request.is_node or request.when.point not in (Point.SAVE, Point.LOAD)
        return (draw.randrange(num) if is_drawn else 0,)
    return (request.who,)


def _call(kind: Kind, value: float | None) -> str:
    """`sigkill`, `exit(3)`, `torn(keep=0.5)`."""
    if value is None:
        return kind
    name = ARGUMENTS[kind].name
    number = f"{int(value) if value == int(value) else value}"
    return f"{kind}({number})" if kind is Kind.EXIT else f"{kind}({name}={number})"
