"""Changes of evidence in memory: what lines say instead, and of which processes."""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType
from typing import Any

import msgspec

from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.rank_records import AnyRecord

Change = Callable[[AnyRecord], AnyRecord | None]
"""Returns the line as it is to be; None leaves it out."""


def same(line: AnyRecord) -> AnyRecord:
    """No change."""
    return line


def fields(kind: type | UnionType, *, when: Callable[[Any], bool] = lambda _: True, **values: Any) -> Change:
    """Each line of a kind has these values; a function makes its value of the line, and `when` says of which lines."""

    def change(line: AnyRecord) -> AnyRecord:
        if not isinstance(line, kind) or not when(line):
            return line
        new = {name: value(line) if callable(value) else value for name, value in values.items()}
        return msgspec.structs.replace(line, **new)

    return change


def without(kind: type | UnionType) -> Change:
    """No line of a kind."""
    return lambda line: None if isinstance(line, kind) else line


def together(*changes: Change) -> Change:
    """One after the other."""

    def change(line: AnyRecord) -> AnyRecord | None:
        new: AnyRecord | None = line
        for one in changes:
            new = None if new is None else one(new)
        return new

    return change


def changed_process(process: Process, change: Change) -> Process:
    """Every line of a process is changed, or left out."""
    kept = [line for record in process.records if (line := change(record)) is not None]
    records = tuple(msgspec.structs.replace(line, sequence=number) for number, line in enumerate(kept))
    return msgspec.structs.replace(process, records=records)


def changed(history: History, change: Change, *, incarnation: int | None = None, rank: int | None = None) -> History:
    """Every line of these processes is changed, or left out; None: of all incarnations, or all ranks."""
    processes = tuple(
        changed_process(process, change)
        if incarnation in (None, process.incarnation) and rank in (None, process.rank)
        else process
        for process in history.processes
    )
    return msgspec.structs.replace(history, processes=processes)
