"""Every kind of fault, with all that is known of it: a new kind is a row here, and what it does in the rank or on the node.

The grammar and its help, the constructors of `resumable.launch.Fault`, the planner, the trigger, the checks and the table
in the README follow from the rows. What a fault of a rank does stands in `resumable.launch.worker.faults.effects`, what one
of a node does in `resumable.launch.run.node_faults`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Literal, Self

import msgspec

Need = Literal["checkpoint", "save", "loader worker"]
"""checkpoint: the newest that has been written. save: one that is being written. loader worker: one of the rank's."""
Effect = Literal[
    "ends", "raises", "asks to stop", "stands still", "spoils a save", "ends a loader worker", "takes a node"
]
"""What the evidence must show of the rank after it.

ends: it trains on nothing any more. raises: the same, unless the script catches it. asks to stop: it may finish what it
does, and chooses its exit code. stands still: until the hang watch ends it. spoils a save: that save does not end well; the
job may survive. ends a loader worker: the loader raises when it notices. takes a node: whatever becomes of the rank.
"""
NodeDeed = Literal["lost", "cut", "interrupted"]
"""What the supervisor records once it has done it to the node."""


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """The one argument that a kind of fault takes."""

    name: str
    unit: str
    """Stands for the number in a usage line."""
    low: float = 0
    high: float
    default: float | None = None
    is_required: bool = False
    is_whole: bool = False
    is_bare: bool = False
    """Written without its name."""
    python_name: str = ""
    """Where `name` is a keyword of Python; empty: the same."""

    @property
    def parameter(self) -> str:
        """Its name in Python."""
        return self.python_name or self.name

    def __str__(self) -> str:
        return f"{self.usage()}, from {self.low:g} to {self.high:g}"

    def usage(self, value: float | None = None) -> str:
        """How it is written: `grace=SECONDS`, or with a value."""
        text = self.unit if value is None else f"{int(value) if value == int(value) else value}"
        return text if self.is_bare else f"{self.name}={text}"

    def accepts(self, value: float) -> bool:
        """Whether a number makes sense for it."""
        return self.low <= value <= self.high and not (self.is_whole and value % 1)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a kind of fault."""

    name: str
    """As the command line writes it."""
    help: str
    """What happens, in half a sentence."""
    example: str
    """A whole fault, as the command line takes it."""
    effect: Effect
    argument: Argument | None = None
    needs: Need | None = None
    """What must be there when it fires."""
    deed: NodeDeed | None = None
    """Done to a node, by the supervisor, which records this; None: the rank does it to itself."""
    needs_hang_watch: bool = False
    """Ranks may stand still for good, unless somebody watches them."""


_GRACE = Argument(name="grace", unit="SECONDS", high=86_400, default=30)
_DURATION = Argument(name="for", unit="SECONDS", high=86_400, is_required=True, python_name="duration")
_REPLACE = Argument(name="replace", unit="SECONDS", high=86_400)
_KEEP = Argument(name="keep", unit="FRACTION", high=1e12, default=0.5)
_CODE = Argument(name="code", unit="CODE", high=255, is_required=True, is_whole=True, is_bare=True)


class FaultKind(StrEnum):
    """What is done; each member is a row of the table."""

    facts: Facts

    SIGKILL = Facts(name="sigkill", help="the rank gets SIGKILL", example="sigkill@step=7:rank=1", effect="ends")
    SIGTERM = Facts(
        name="sigterm",
        help="the rank gets SIGTERM, and SIGKILL if it still lives after the grace (default: 30 s)",
        example="sigterm(grace=5)@step=7:rank=1",
        effect="asks to stop",
        argument=_GRACE,
    )
    SIGINT = Facts(name="sigint", help="the rank gets SIGINT", example="sigint@step=7:rank=1", effect="asks to stop")
    ABORT = Facts(
        name="abort",
        help="the rank gets SIGABRT, as from a failed assertion in C++",
        example="abort@step=7:rank=1",
        effect="ends",
    )
    EXCEPTION = Facts(
        name="exception",
        help="an exception is raised in the training loop",
        example="exception@step=7:rank=1",
        effect="raises",
    )
    EXIT = Facts(
        name="exit",
        help="the script ends with this exit code",
        example="exit(3)@step=7:rank=1",
        effect="raises",
        argument=_CODE,
    )
    HANG = Facts(
        name="hang",
        help="the main thread sleeps for good; the hang watch (`--hang-timeout`) stores all stacks and ends the rank",
        example="hang@step=7:rank=1",
        effect="stands still",
        needs_hang_watch=True,
    )
    SIGSTOP = Facts(
        name="sigstop",
        help="the rank is stopped and answers nothing; the hang watch ends it",
        example="sigstop@step=7:rank=1",
        effect="stands still",
        needs_hang_watch=True,
    )
    LOADERKILL = Facts(
        name="loaderkill",
        help="one of the rank's loader workers is killed",
        example="loaderkill@step=7:rank=1",
        effect="ends a loader worker",
        needs="loader worker",
    )
    TORN = Facts(
        name="torn",
        help="the newest checkpoint (of a folder, the rank's own data) loses its end and the rank is killed, as in a "
        "power cut; FRACTION (default: 0.5) is what stays, 1 or more is a number of bytes",
        example="torn(keep=0.5)@save#1:rank=0",
        effect="ends",
        argument=_KEEP,
        needs="checkpoint",
    )
    CORRUPT = Facts(
        name="corrupt",
        help="bytes in the middle of the newest checkpoint change, and the rank is killed",
        example="corrupt@save#1:rank=0",
        effect="ends",
        needs="checkpoint",
    )
    DISKFULL = Facts(
        name="diskfull",
        help="writing a checkpoint raises ENOSPC halfway; the job may survive it",
        example="diskfull@save#1:rank=0",
        effect="spoils a save",
        needs="save",
    )
    IOERROR = Facts(
        name="ioerror",
        help="writing a checkpoint raises EIO halfway; the job may survive it",
        example="ioerror@save#1:rank=0",
        effect="spoils a save",
        needs="save",
    )
    PREEMPT = Facts(
        name="preempt",
        help="a node's agent gets SIGTERM and hands it on to its ranks; after the grace (default: 30 s) all of the "
        "node is killed",
        example="preempt(grace=5)@step=7:node=0",
        effect="asks to stop",
        argument=_GRACE,
        deed="interrupted",
    )
    NODELOSS = Facts(
        name="nodeloss",
        help="a node is killed: replaced after so many seconds, or for good without them",
        example="nodeloss(replace=5)@step=7:node=1",
        effect="takes a node",
        argument=_REPLACE,
        deed="lost",
    )
    PARTITION = Facts(
        name="partition",
        help="a node is cut off from the others for so many seconds",
        example="partition(for=5)@step=7:node=1",
        effect="takes a node",
        argument=_DURATION,
        deed="cut",
        needs_hang_watch=True,
    )

    def __new__(cls, facts: Facts) -> Self:
        """A member whose value, and text, is the name."""
        member = str.__new__(cls, facts.name)
        member._value_ = facts.name
        member.facts = facts
        return member

    @classmethod
    def named(cls, name: str) -> Self | None:
        """The kind with this name; None if there is none."""
        return next((kind for kind in cls if kind == name), None)

    @property
    def usage(self) -> str:
        """How it is written: `sigkill`, `exit(CODE)`, `torn(keep=FRACTION)`."""
        argument = self.facts.argument
        return str(self) if argument is None else f"{self}({argument.usage()})"

    def problem_with(self, value: float | None) -> str | None:
        """Why this is no value of its argument, in a sentence; None if it is one."""
        argument = self.facts.argument
        if argument is None:
            return None if value is None else f"{self} takes no argument, got ({value:g})"
        if value is None:
            return f"{self} takes {argument}" if argument.is_required or argument.default is not None else None
        return None if argument.accepts(value) else f"{self} takes {argument}; got {value:g}"

    def call(self, value: float | None) -> str:
        """How it is written with this value of its argument: `sigkill`, `exit(3)`, `torn(keep=0.5)`."""
        argument = self.facts.argument
        return str(self) if argument is None or value is None else f"{self}({argument.usage(value)})"


def _kinds(has: Callable[[Facts], bool]) -> frozenset[FaultKind]:
    return frozenset(kind for kind in FaultKind if has(kind.facts))


# Evidence holds kinds as text, which these sets take too.
NODE_KINDS = _kinds(lambda facts: facts.deed is not None)
"""Done to a node; all others a rank does to itself."""
NODE_NOTICES = _kinds(lambda facts: facts.deed == "interrupted")
"""Ask all of a node to stop, and take it after a grace."""
SAVE_ERRORS = _kinds(lambda facts: facts.needs == "save")
"""Happen while a checkpoint is written."""
CHECKPOINT_DAMAGE = _kinds(lambda facts: facts.needs == "checkpoint")
"""Need a checkpoint that has been written."""
STANDSTILLS = _kinds(lambda facts: facts.effect == "stands still")
"""Need a hang watch to end them."""
NOTICES = _kinds(lambda facts: facts.effect == "asks to stop")
"""Ask a job to stop, and leave it the choice of its exit code."""
DEADLY = _kinds(lambda facts: facts.effect in ("ends", "raises"))
"""Nothing is trained on after them, unless the script caught what they raise."""
