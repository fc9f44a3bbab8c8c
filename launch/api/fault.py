"""Faults in Python: `Fault.sigkill(rank=1, step=37)`."""

from __future__ import annotations

import inspect
from typing import Literal, Protocol, Self

import msgspec

from resumable.launch.errors import FaultSyntaxError
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_kinds import FaultKind
from resumable.launch.plan.fault_model import FaultRequest, Part, Point, When, Who, default_part

Chosen = int | Literal["any", "all"]
"""Who is hit: a number, one that is drawn from the seed, or all of them."""

_MOMENTS = {"step": Point.STEP, "batch": Point.BATCH, "load": Point.LOAD, "resume": Point.RESUME}
"""Moments that are one number."""
_EXPECTED = "exactly one moment: step=, batch=, epoch= with batch=, save=, load= or resume="


class Constructor(Protocol):
    """Makes a fault of one kind."""

    def __call__(
        self,
        argument: float | None = None,
        /,
        *,
        rank: Chosen | None = None,
        node: Chosen | None = None,
        step: int | None = None,
        batch: int | None = None,
        epoch: int | None = None,
        save: int | str | None = None,
        load: int | None = None,
        resume: int | None = None,
        **named: float | None,
    ) -> Fault:
        """Say who is hit, and at which moment; counts are from 0, over all restarts.

        Args:
            argument: The kind's, such as the seconds of a grace; its default where it is left out.
            rank: The rank that it is done to, or whose node it is done to.
            node: The node that it is done to, for kinds that are done to one.
            step: This optimizer step is done.
            batch: This batch was delivered and is not trained on yet; with `epoch`, this one of the epoch.
            epoch: The epoch of `batch`.
            save: This checkpoint of the rank is in place; as text also "1+before", "1+during" or "1+after".
            load: This checkpoint that the rank reads was read.
            resume: So many steps are done since the latest restart.
            named: The kind's argument by its name: `grace`, `keep`, `code`, `replace`, `duration`.

        Raises:
            FaultSyntaxError: nobody is hit, or no moment or several were given, or the moment makes no sense for the kind.
        """


class _FaultType(msgspec.StructMeta):
    """Gives `Fault` one constructor for each kind of fault."""

    def __getattr__(self, name: str) -> Constructor:
        kind = FaultKind.named(name)
        if kind is None:
            raise AttributeError(f"Fault has no attribute {name!r}; kinds of faults: {', '.join(FaultKind)}")
        return _constructor(kind)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *FaultKind]


class Fault(FaultRequest, frozen=True, kw_only=True, metaclass=_FaultType):
    """One thing to be done to a rank or a node.

    There is a constructor for every kind of fault, named after it: `Fault.sigkill(rank=1, step=37)`,
    `Fault.exit(3, rank="any", epoch=1, batch=2)`, `Fault.torn(keep=0.5, rank=0, save=1)`,
    `Fault.nodeloss(replace=2, node=1, step=7)`. `help(Fault.torn)` describes one; `Constructor` is the contract of all of
    them, and `resumable verify --help-all` lists the kinds.
    """

    @classmethod
    def parse(cls, text: str) -> Self:
        """A fault as the command line takes it, such as `sigkill@step=7:rank=1`.

        Raises:
            FaultSyntaxError: `text` does not follow the grammar; the message holds the nearest right form.
        """
        return cls(**msgspec.structs.asdict(parse_fault(text)))


def _constructor(kind: FaultKind) -> Constructor:
    parameter = kind.facts.argument.parameter if kind.facts.argument else ""

    def construct(
        argument: float | None = None,
        /,
        *,
        rank: Chosen | None = None,
        node: Chosen | None = None,
        **words: int | str | float | None,
    ) -> Fault:
        if argument is None:
            argument = _number(words.pop(parameter, None))
        if argument is None and kind.facts.argument is not None:
            argument = kind.facts.argument.default
        try:
            return Fault(
                kind=kind,
                when=_when(kind, {name: value for name, value in words.items() if value is not None}),
                who=_who(rank, node),
                is_node=node is not None,
                argument=argument,
            )
        except FaultSyntaxError as error:
            raise FaultSyntaxError(f"Fault.{kind}: {error.reason}", reason=error.reason) from error

    construct.__name__, construct.__qualname__ = str(kind), f"Fault.{kind}"
    construct.__doc__ = f"{kind.usage}: {kind.facts.help}.\n\n{inspect.getdoc(Constructor.__call__)}"
    return construct


def _number(value: float | str | None) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise FaultSyntaxError(f"expected a number, got {value!r}")


def _who(rank: Chosen | None, node: Chosen | None) -> int | Who:
    if (rank is None) == (node is None):
        raise FaultSyntaxError(f"expected rank= or node=, got rank={rank!r}, node={node!r}")
    name, chosen = ("rank", rank) if node is None else ("node", node)
    return Who(chosen) if chosen in ("any", "all") else _count(name, chosen)


def _when(kind: FaultKind, words: dict[str, int | str | float]) -> When:
    match sorted(words):
        case [("step" | "batch" | "load" | "resume") as name]:
            return When(_MOMENTS[name], (_count(name, words[name]),))
        case ["batch", "epoch"]:
            return When(Point.EPOCH_BATCH, (_count("epoch", words["epoch"]), _count("batch", words["batch"])))
        case ["save"]:
            return _save(kind, words["save"])
    given = ", ".join(f"{name}={value!r}" for name, value in words.items())
    raise FaultSyntaxError(f"expected {_EXPECTED}; got {given or 'none'}")


def _save(kind: FaultKind, value: float | str) -> When:
    if not isinstance(value, str):
        return When(Point.SAVE, (_count("save", value),), default_part(kind))
    number, plus, part = value.partition("+")
    if not number.isdecimal() or (plus and part not in tuple(Part)):
        raise FaultSyntaxError(f"save={value!r}: expected a number, or text such as '1+during'")
    return When(Point.SAVE, (int(number),), Part(part) if plus else default_part(kind))


def _count(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FaultSyntaxError(f"{name}={value!r}: expected a number from 0")
    return value
