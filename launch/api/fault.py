"""Faults as Python says them: `Fault.sigkill(rank=1, step=37)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import FaultRequest, Kind


class Fault(FaultRequest, frozen=True, kw_only=True):
    """One thing to be done to a rank or a node.

    Every constructor takes who is hit, `rank=` (a number, "any" or "all"; for faults of a node also `node=`), and exactly
    one moment: `step=`, `batch=`, `epoch=` with `batch=`, `save=` (a number, or text such as "1+during"), `load=` or
    `resume=`. The meaning of each is the command line's: `resumable verify --help` shows it.

    Raises:
        FaultSyntaxError: no moment was given, or several, or the moment makes no sense for the kind.
    """

    @classmethod
    def parse(cls, text: str) -> Self:
        """A fault of the command line, such as `sigkill@step=7:rank=1`."""
        request = parse_fault(text)
        return cls(
            kind=request.kind,
            when=request.when,
            who=request.who,
            is_node=request.is_node,
            argument=request.argument,
        )

    @classmethod
    def of(cls, kind: Kind, argument: float | None, **where: int | str) -> Self:
        """A fault of any kind; `where` says who and when."""
        call = str(kind) if argument is None else f"{kind}({argument:g})"
        who = ":".join(f"{name}={where.pop(name)}" for name in ("rank", "node") if name in where)
        return cls.parse(f"{call}@{_moment(where)}:{who}")

    @classmethod
    def sigkill(cls, **where: int | str) -> Self:
        """SIGKILL."""
        return cls.of(Kind.SIGKILL, None, **where)

    @classmethod
    def sigint(cls, **where: int | str) -> Self:
        """SIGINT."""
        return cls.of(Kind.SIGINT, None, **where)

    @classmethod
    def exception(cls, **where: int | str) -> Self:
        """An exception is raised in the training script."""
        return cls.of(Kind.EXCEPTION, None, **where)

    @classmethod
    def abort(cls, **where: int | str) -> Self:
        """SIGABRT."""
        return cls.of(Kind.ABORT, None, **where)

    @classmethod
    def hang(cls, **where: int | str) -> Self:
        """The main thread sleeps for good."""
        return cls.of(Kind.HANG, None, **where)

    @classmethod
    def sigstop(cls, **where: int | str) -> Self:
        """SIGSTOP."""
        return cls.of(Kind.SIGSTOP, None, **where)

    @classmethod
    def loaderkill(cls, **where: int | str) -> Self:
        """SIGKILL to one of the rank's loader workers."""
        return cls.of(Kind.LOADERKILL, None, **where)

    @classmethod
    def corrupt(cls, **where: int | str) -> Self:
        """The newest checkpoint is damaged in its middle, and the rank killed."""
        return cls.of(Kind.CORRUPT, None, **where)

    @classmethod
    def diskfull(cls, **where: int | str) -> Self:
        """A save raises ENOSPC half way."""
        return cls.of(Kind.DISKFULL, None, **where)

    @classmethod
    def ioerror(cls, **where: int | str) -> Self:
        """A save raises EIO half way."""
        return cls.of(Kind.IOERROR, None, **where)

    @classmethod
    def exit(cls, code: int, **where: int | str) -> Self:
        """The script ends with this exit code."""
        return cls.of(Kind.EXIT, code, **where)

    @classmethod
    def sigterm(cls, grace: float = 30.0, **where: int | str) -> Self:
        """SIGTERM, and SIGKILL after the grace in seconds."""
        return cls.of(Kind.SIGTERM, grace, **where)

    @classmethod
    def torn(cls, keep: float = 0.5, **where: int | str) -> Self:
        """The newest checkpoint keeps a fraction below 1 or a number of bytes, and the rank is killed."""
        return cls.of(Kind.TORN, keep, **where)

    @classmethod
    def preempt(cls, grace: float = 30.0, **where: int | str) -> Self:
        """SIGTERM to the agent of a node; all of it is killed after the grace in seconds."""
        return cls.of(Kind.PREEMPT, grace, **where)

    @classmethod
    def nodeloss(cls, replace: float | None = None, **where: int | str) -> Self:
        """A node is killed, and replaced after so many seconds, or never."""
        return cls.of(Kind.NODELOSS, replace, **where)

    @classmethod
    def partition(cls, duration: float, **where: int | str) -> Self:
        """A node is cut off for so many seconds."""
        return cls.of(Kind.PARTITION, duration, **where)


def _moment(where: Mapping[str, int | str]) -> str:
    """The moment as the grammar writes it; what is wrong with it the grammar says better."""
    marks = {"save": "#", "load": "#", "resume": "+"}
    return ",".join(f"{name}{marks.get(name, '=')}{value}" for name, value in where.items())
