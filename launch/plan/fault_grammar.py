"""The grammar of faults: `kind(argument)@when:who`."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Callable, Sequence

from resumable.launch.errors import FaultSyntaxError, LaunchError
from resumable.launch.plan.fault_kinds import FaultKind
from resumable.launch.plan.fault_model import FaultRequest, Part, Point, When, Who, default_part

_HELP_COLUMN, _HELP_WIDTH = 35, 120


def _kind_help(kind: FaultKind) -> str:
    """Usage on the left, what happens on the right."""
    indent = " " * _HELP_COLUMN
    usage = f"         {kind.usage}".ljust(_HELP_COLUMN)
    return textwrap.fill(kind.facts.help, _HELP_WIDTH, initial_indent=usage, subsequent_indent=indent)


_KINDS = "\n".join(map(_kind_help, FaultKind)).lstrip()
GRAMMAR = f"""\
kind@when:who
  kind   {_KINDS}
  when   batch=K            batch K (from 0) was delivered and is not trained on yet
         step=K             optimizer step K (from 0) is done
         epoch=E,batch=B    batch B of epoch E was delivered
         save#N             checkpoint N (from 0) of the rank is in place; also +before, +during, +after
         load#N             checkpoint N (from 0) that the rank reads was read
         resume+K           K steps are done since the latest restart
  who    rank=R | rank=any | rank=all; for a fault of a node also node=N | node=any | node=all
for example  sigkill@step=7:rank=1"""

_SHAPE = re.compile(r"(?P<call>[^@]+)@(?P<when>[^:@]+):(?P<who>[^:@]+)")
_CALL = re.compile(r"(?P<kind>[a-z]+)(?:\((?P<argument>[^()]*)\))?")
_WHEN = (
    (Point.BATCH, re.compile(r"batch=(\d{1,15})")),
    (Point.STEP, re.compile(r"step=(\d{1,15})")),
    (Point.EPOCH_BATCH, re.compile(r"epoch=(\d{1,15}),batch=(\d{1,15})")),
    (Point.RESUME, re.compile(r"resume\+(\d{1,15})")),
    (Point.LOAD, re.compile(r"load#(\d{1,15})")),
)
_SAVE = re.compile(r"save#(\d{1,15})(?:\+(before|during|after))?")
_WHO = re.compile(r"(rank|node)=(\d{1,15}|any|all)")
_VALUE = re.compile(r"(?:(?P<name>[a-z]+)=)?(?P<number>\d+(?:\.\d+)?)s?")
_NUMBER = re.compile(r"\d{1,15}")
_WHENS = ("step=7", "batch=7", "epoch=1,batch=3", "save#1", "save#1+before", "save#1+during", "load#0", "resume+4")
_WHOS = ("rank=1", "rank=any", "rank=all", "node=1", "node=any", "node=all")
"""Forms of a moment, and of who is hit, for whoever mistyped one."""


def parse_fault(text: str) -> FaultRequest:
    """One fault of the command line.

    Raises:
        FaultSyntaxError: `text` does not follow the grammar; the message names the part and the nearest right form.
    """
    try:
        return _parsed(text.strip())
    except FaultSyntaxError as error:
        message = (
            f"--fault {text}: {error.reason}\ndid you mean: {_nearest(text)}\nall forms: resumable verify --help-all"
        )
        raise FaultSyntaxError(message, reason=error.reason) from error


def parse_call(text: str) -> tuple[FaultKind, float | None]:
    """A kind and the value of its argument, as they stand before the `@` of a fault.

    Raises:
        FaultSyntaxError: there is no such kind, or it takes a different argument; the message does not repeat `text`.
    """
    match = _CALL.fullmatch(text)
    if match is None:
        raise FaultSyntaxError("expected a kind such as sigkill or torn(keep=0.5)")
    kind = FaultKind.named(match["kind"])
    if kind is None:
        raise FaultSyntaxError(f"unknown kind {match['kind']!r}")
    value = _parse_argument(kind, match["argument"])
    problem = kind.problem_with(value)
    if problem is not None:
        raise FaultSyntaxError(problem)
    return kind, value


def parse_when(text: str, *, bare_save: Part = Part.AFTER) -> When | None:
    """A moment without a fault, as a list of them names it; None if it is none.

    Args:
        text: Such as `step=7`.
        bare_save: The part of the save that `save#N` stands for.
    """
    save = _SAVE.fullmatch(text)
    if save is not None:
        return When(point=Point.SAVE, numbers=(int(save[1]),), part=Part(save[2] or bare_save))
    for point, pattern in _WHEN:
        match = pattern.fullmatch(text)
        if match is not None:
            return When(point=point, numbers=tuple(int(number) for number in match.groups()))
    return None


def _nearest(text: str) -> str:
    """A fault that can be read: what of `text` can be is kept, the rest becomes the form that is most like it."""
    call, _, rest = text.strip().rpartition("@")  # what has no `@` may be a moment, or else a kind
    if not call and parse_when(rest.partition(":")[0]) is None:
        call, rest = rest, ""
    when, _, who = rest.partition(":")
    kind = FaultKind.named(_most_like(call.partition("(")[0], list(FaultKind)) or "") or FaultKind.SIGKILL
    if not is_read_by(parse_call, call):
        call = kind.facts.example.partition("@")[0]
    if parse_when(when) is None:
        when = _with_numbers_of(when, _most_like(when, _WHENS) or _WHENS[0])
    if _WHO.fullmatch(who) is None:
        who = _with_numbers_of(who, _most_like(who, _WHOS) or "rank=any")
    fault = f"{call}@{when}:{who}"
    return fault if is_read_by(_parsed, fault) else kind.facts.example


def is_read_by(read: Callable[[str], object], text: str) -> bool:
    """Whether a text is what `read` reads: it raises an error of ours for any other."""
    try:
        read(text)
    except LaunchError:
        return False
    return True


def _most_like(text: str, forms: Sequence[str]) -> str | None:
    return next(iter(difflib.get_close_matches(text, forms, n=1, cutoff=0.4)), None)


def _with_numbers_of(text: str, form: str) -> str:
    """The form, with the numbers that stand in a text in the place of its own, as far as there are any."""
    numbers = iter(_NUMBER.findall(text))
    return _NUMBER.sub(lambda own: next(numbers, own[0]), form)


def _parsed(text: str) -> FaultRequest:
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise FaultSyntaxError("expected kind@when:who")
    kind, argument = parse_call(match["call"])
    who = _WHO.fullmatch(match["who"])
    if who is None:
        raise FaultSyntaxError(f"cannot read who={match['who']!r}")
    when = parse_when(match["when"], bare_save=default_part(kind))
    if when is None:
        raise FaultSyntaxError(f"cannot read when={match['when']!r}")
    number = int(who[2]) if who[2].isdecimal() else Who(who[2])
    return FaultRequest(kind=kind, when=when, who=number, is_node=who[1] == "node", argument=argument)


def _parse_argument(kind: FaultKind, text: str | None) -> float | None:
    argument = kind.facts.argument
    if text is None:
        return None if argument is None else argument.default
    if argument is None:
        raise FaultSyntaxError(f"{kind} takes no argument, got ({text})")
    match = _VALUE.fullmatch(text.replace(" ", ""))
    if match is None or match["name"] not in (None, argument.name):
        raise FaultSyntaxError(f"{kind} takes {argument}; got {text!r}")
    return float(match["number"])
