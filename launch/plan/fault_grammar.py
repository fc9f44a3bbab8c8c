"""The grammar of faults: `kind(argument)@when:who`."""

from __future__ import annotations

import difflib
import re

from resumable.launch.errors import FaultSyntaxError
from resumable.launch.plan.fault_model import (
    ARGUMENTS,
    CHECKPOINT_DAMAGE,
    NODE_KINDS,
    SAVE_ERRORS,
    FaultRequest,
    Kind,
    Part,
    Point,
    When,
    Who,
)

GRAMMAR = """\
kind@when:who
  kind   sigkill | sigint | abort | exception | exit(CODE) | sigterm(grace=S)
         hang | sigstop                 the hang watch ends it (--hang-timeout)
         loaderkill                     one of the rank's loader workers is killed
         torn(keep=FRACTION) | corrupt  the newest checkpoint is damaged and the rank killed
         diskfull | ioerror             while a checkpoint is saved
         preempt(grace=S)               SIGTERM to a node, after the grace SIGKILL
         nodeloss(replace=S)            a node is killed; without replace= for good
         partition(for=S)               a node is cut off
  when   batch=K            batch K (from 0) was delivered and is not trained on yet
         step=K             optimizer step K (from 0) is done
         epoch=E,batch=B    batch B of epoch E was delivered
         save#N             checkpoint N (from 0) of the rank is in place; also +before, +during, +after
         load#N             checkpoint N (from 0) that the rank reads was read
         resume+K           K steps are done since the latest restart
  who    rank=R | rank=any | rank=all; for a fault of a node also node=N | node=any | node=all
for example  sigkill@step=7:rank=1"""

_SHAPE = re.compile(r"(?P<kind>[a-z]+)(?:\((?P<argument>[^()]*)\))?@(?P<when>[^:@]+):(?P<who>[^:@]+)")
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
_EXAMPLES = (
    "sigkill@step=7:rank=1",
    "sigkill@batch=7:rank=any",
    "sigkill@epoch=1,batch=3:rank=0",
    "sigkill@resume+0:rank=all",
    "sigkill@save#1+during:rank=0",
    "sigkill@load#0:rank=0",
    "exception@step=7:rank=1",
    "exception@epoch=1,batch=3:rank=any",
    "exit(3)@step=7:rank=1",
    "exit(3)@resume+2:rank=all",
    "sigterm(grace=5)@step=7:rank=1",
    "hang@step=7:rank=1",
    "sigstop@step=7:rank=1",
    "loaderkill@step=7:rank=1",
    "torn(keep=0.5)@save#1:rank=0",
    "corrupt@save#1:rank=0",
    "diskfull@save#1:rank=0",
    "ioerror@save#1:rank=0",
    "preempt(grace=5)@step=7:node=0",
    "nodeloss(replace=5)@step=7:node=1",
    "partition(for=5)@step=7:node=1",
)


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
    if who[1] == "node" and kind not in NODE_KINDS:
        raise _error(text, f"{kind} is done to a rank, not to a node")
    return FaultRequest(
        kind=kind,
        when=_parse_moment(text, kind, match["when"]),
        who=int(who[2]) if who[2].isdecimal() else Who(who[2]),
        is_node=who[1] == "node",
        argument=_parse_argument(text, kind, match["argument"]),
    )


def parse_when(text: str) -> When | None:
    """A moment without a fault, as a list of them names it; None if it is none. A bare `save#N` is its end."""
    save = _SAVE.fullmatch(text)
    if save is not None:
        return When(point=Point.SAVE, numbers=(int(save[1]),), part=Part(save[2] or Part.AFTER))
    for point, pattern in _WHEN:
        match = pattern.fullmatch(text)
        if match is not None:
            return When(point=point, numbers=tuple(int(number) for number in match.groups()))
    return None


def _parse_moment(text: str, kind: Kind, when: str) -> When:
    moment = parse_when(when)
    if moment is None:
        raise _error(text, f"cannot read when={when!r}")
    is_bare_save = moment.point is Point.SAVE and "+" not in when
    if kind in SAVE_ERRORS:
        if is_bare_save or moment.part is Part.DURING:
            return When(point=Point.SAVE, numbers=moment.numbers, part=Part.DURING)
        raise _error(text, f"{kind} happens during a save: save#N")
    if kind in CHECKPOINT_DAMAGE and moment.part in (Part.BEFORE, Part.DURING):
        raise _error(text, f"{kind} needs a checkpoint that has been written: save#N+after")
    return moment


def _parse_argument(text: str, kind: Kind, argument: str | None) -> float | None:
    expected = ARGUMENTS.get(kind)
    if expected is None:
        if argument is not None:
            raise _error(text, f"{kind} takes no argument, got ({argument})")
        return None
    if argument is None and not expected.is_required:
        return expected.default
    match = _VALUE.fullmatch((argument or "").replace(" ", ""))
    value = float(match["number"]) if match else -1.0
    is_named_right = match is not None and match["name"] in (None, expected.name)
    if not is_named_right or not expected.low <= value <= expected.high or (expected.is_whole and value % 1):
        raise _error(text, f"{kind} takes {expected}, from {expected.low:g} to {expected.high:g}; got {argument!r}")
    return value


def _error(text: str, reason: str) -> FaultSyntaxError:
    nearest = difflib.get_close_matches(text, _EXAMPLES, n=1, cutoff=0.3)
    hint = f"nearest right form: {nearest[0]}; " if nearest else ""
    return FaultSyntaxError(f"--fault {text}: {reason}\n{hint}all forms: resumable verify --help", reason=reason)
