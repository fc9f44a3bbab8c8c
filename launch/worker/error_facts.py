"""What is recorded of the exception that ended a script: facts, for whoever judges it later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from resumable.launch.evidence.rank_records import Error

FAULT_ATTRIBUTE = "resumable_fault"
"""Holds the number of the planned fault on an exception that it raised; it survives pickling, as to other ranks."""
_MAX_DEPTH = 8
_MOST_CHARACTERS = 4096


def message_of(error: BaseException) -> str:
    """Its class and what it says, however much that is; one that cannot say it is known by its class."""
    try:
        said = str(error)
    except Exception as failure:  # the job's own code
        said = f"(no message: its __str__ raised {type(failure).__name__})"
    return f"{type(error).__name__}: {bounded(said)}"


def bounded(text: str) -> str:
    """The text, or its beginning with its length, where nobody would read all of it."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}... ({len(text)} characters)"


def error_facts(error: BaseException) -> Error:
    """Its type, the module that raised it, and the planned faults behind it."""
    kind = type(error)
    found = (getattr(one, FAULT_ATTRIBUTE, None) for one in _within(error, _MAX_DEPTH))
    return Error(
        type=f"{kind.__module__}.{kind.__qualname__}",
        module=_raised_in(error),
        faults=tuple(sorted({number for number in found if isinstance(number, int)})),
    )


def _raised_in(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return str(traceback.tb_frame.f_globals.get("__name__", "")) if traceback is not None else ""


def _within(value: object, depth: int) -> Iterator[BaseException]:
    """An exception and those that it reports: `torch.distributed.checkpoint` wraps each rank's in its arguments."""
    if depth == 0:
        return
    inner: Iterable[object] = ()
    if isinstance(value, BaseException):
        yield value
        inner = (value.__cause__, value.__context__, *value.args, *getattr(value, "exceptions", ()))
    elif isinstance(value, dict):
        inner = tuple(value.values())
    elif isinstance(value, tuple | list):
        inner = tuple(value)
    for one in inner:
        yield from _within(one, depth - 1)
