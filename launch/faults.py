"""The grammar of faults: `kind(arguments)@when:who`.

Parsing gives one `FaultRequest`; `resolve` turns the requests of one command line into `Fault`s, each for exactly one
rank: `rank=all` becomes one for every rank, `rank=any` is drawn. What stands in the plan holds no choice any more.
"""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from launch.errors import FaultSyntaxError


class Kind(StrEnum):
    """What is done to the rank."""

    SIGKILL = "sigkill"
    EXCEPTION = "exception"
    EXIT = "exit"


class Point(StrEnum):
    """What the moment of a fault is counted in."""

    BATCH = "batch"
    STEP = "step"
    EPOCH_BATCH = "epoch_batch"
    RESUME = "resume"


GRAMMAR = """\
kind@when:who
  kind   sigkill | exception | exit(CODE)
  when   batch=K            batch K (from 0) was delivered and is not trained on yet
         step=K             optimizer step K (from 0) is done
         epoch=E,batch=B    batch B of epoch E was delivered
         resume+K           K steps are done since the latest restart
  who    rank=R | rank=any | rank=all
for example  sigkill@step=7:rank=1"""

_SHAPE = re.compile(r"(?P<kind>[a-z]+)(?:\((?P<argument>[^()]*)\))?@(?P<when>[^:@]+):(?P<who>[^:@]+)")
_WHEN = (
    (Point.BATCH, re.compile(r"batch=(\d+)")),
    (Point.STEP, re.compile(r"step=(\d+)")),
    (Point.EPOCH_BATCH, re.compile(r"epoch=(\d+),batch=(\d+)")),
    (Point.RESUME, re.compile(r"resume\+(\d+)")),
)
_WHO = re.compile(r"rank=(\d+|any|all)")
_EXAMPLES = (
    "sigkill@step=7:rank=1",
    "sigkill@batch=7:rank=any",
    "sigkill@epoch=1,batch=3:rank=0",
    "sigkill@resume+0:rank=all",
    "exception@step=7:rank=1",
    "exception@epoch=1,batch=3:rank=any",
    "exit(3)@step=7:rank=1",
    "exit(3)@resume+2:rank=all",
)


class Who(StrEnum):
    """A rank that the plan has still to name."""

    ANY = "any"
    ALL = "all"


class When(msgspec.Struct, frozen=True):
    """The moment at which a fault fires; counts are since training began, over all restarts."""

    point: Point
    numbers: tuple[int, ...]
    """batch, step, resume: one number; epoch_batch: epoch and batch."""

    def __str__(self) -> str:
        match self.point:
            case Point.EPOCH_BATCH:
                return f"epoch={self.numbers[0]},batch={self.numbers[1]}"
            case Point.RESUME:
                return f"resume+{self.numbers[0]}"
            case _:
                return f"{self.point}={self.numbers[0]}"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that will be done to one rank, once."""

    number: int
    """Its place in the plan, from 0."""
    kind: Kind
    when: When
    rank: int
    exit_code: int = 1
    """Only for `exit`."""

    def __str__(self) -> str:
        kind = f"exit({self.exit_code})" if self.kind is Kind.EXIT else self.kind
        return f"{kind}@{self.when}:rank={self.rank}"


class FaultRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A fault as the user wrote it: the rank may still be open."""

    kind: Kind
    when: When
    who: int | Who
    exit_code: int = 1


def parse_fault(text: str) -> FaultRequest:
    """One fault of the command line.

    Raises:
        FaultSyntaxError: `text` does not follow the grammar; the message names the part and the nearest right form.
    """
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise _error(text, "expected kind@when:who")
    try:
        kind = Kind(match["kind"])
    except ValueError:
        raise _error(text, f"unknown kind {match['kind']!r}") from None
    who = _WHO.fullmatch(match["who"])
    if who is None:
        raise _error(text, f"cannot read who={match['who']!r}")
    return FaultRequest(
        kind=kind,
        when=_parse_when(text, match["when"]),
        who=_parse_who(who[1]),
        exit_code=_parse_exit_code(text, kind, match["argument"]),
    )


def resolve(requests: Sequence[FaultRequest], *, world_size: int, seed: int) -> tuple[Fault, ...]:
    """Faults of one rank each, numbered in order; `rank=any` is drawn from `seed`."""
    draw = random.Random(f"faults/{seed}")
    faults: list[Fault] = []
    for request in requests:
        if request.who is Who.ALL:
            ranks: Sequence[int] = range(world_size)
        elif request.who is Who.ANY:
            ranks = (draw.randrange(world_size),)
        else:
            ranks = (request.who,)
        for rank in ranks:
            faults.append(
                Fault(number=len(faults), kind=request.kind, when=request.when, rank=rank, exit_code=request.exit_code)
            )
    return tuple(faults)


def num_restarts(faults: Sequence[Fault]) -> int:
    """How many restarts the faults ask for: those that fire at the same moment cost one together."""
    return len({fault.when for fault in faults}) if faults else 0


def _parse_when(text: str, when: str) -> When:
    for point, pattern in _WHEN:
        match = pattern.fullmatch(when)
        if match is not None:
            return When(point=point, numbers=tuple(int(number) for number in match.groups()))
    raise _error(text, f"cannot read when={when!r}")


def _parse_who(who: str) -> int | Who:
    return int(who) if who.isdecimal() else Who(who)


def _parse_exit_code(text: str, kind: Kind, argument: str | None) -> int:
    if kind is not Kind.EXIT:
        if argument is not None:
            raise _error(text, f"{kind} takes no argument, got ({argument})")
        return 1
    if argument is None or not re.fullmatch(r"\d{1,3}", argument) or int(argument) > 255:
        raise _error(text, "exit takes a code from 0 to 255, as in exit(3)")
    return int(argument)


def _error(text: str, reason: str) -> FaultSyntaxError:
    nearest = difflib.get_close_matches(text, _EXAMPLES, n=1, cutoff=0.3)
    hint = f"\nnearest right form: {nearest[0]}" if nearest else ""
    return FaultSyntaxError(f"fault {text!r}: {reason}{hint}\n{GRAMMAR}")
