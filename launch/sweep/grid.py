"""A sweep as text: one row for each rank, one cell for each moment, readable without colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from rich.text import Text

from resumable.launch.outcome import Outcome
from resumable.launch.plan.fault_model import PlannedFault, Point
from resumable.launch.plan.plan import Scenario

_MAX_NAMED = 3
"""Ranks that are hit together and named one by one."""
_TICK = 5
"""Cells from one label of the narrow form to the next."""


class Mark(msgspec.Struct, frozen=True):
    """How a cell looks."""

    letter: str
    style: str
    meaning: str


TO_DO = Mark("-", "dim", "to do")
RUNNING = Mark(">", "cyan", "running")
COLD = Mark("~", "cyan", "again cold")
OUTCOMES = {
    Outcome.VALID: Mark(".", "green", "VALID"),
    Outcome.INVALID: Mark("X", "bold red", "INVALID"),
    Outcome.UNKNOWN: Mark("?", "yellow", "UNKNOWN"),
}


class _Table(msgspec.Struct, frozen=True, kw_only=True):
    """The points of one kind of fault whose moments are counted alike."""

    title: str
    columns: tuple[tuple[int, ...], ...]
    rows: tuple[str, ...]
    marks: dict[tuple[str, tuple[int, ...]], Mark]


def grid(points: Sequence[Scenario], marks: Mapping[str, Mark], width: int) -> list[Text]:
    """The lines of the grid and of its legend; none without points.

    Args:
        points: Of the sweep.
        marks: By the name of the point; one that is missing is to do.
        width: Columns that a line may take; longer rows are folded.
    """
    if not points:
        return []
    lines = [line for table in _tables(points, marks) for line in _rendered(table, width)]
    return [*lines, _legend(marks.get(point.name, TO_DO) for point in points)]


def _tables(points: Sequence[Scenario], marks: Mapping[str, Mark]) -> Iterator[_Table]:
    cells: dict[str, dict[tuple[str, tuple[int, ...]], Mark]] = {}
    for point in points:
        fault = point.faults[-1]
        cell = (_who(point), fault.when.numbers)
        cells.setdefault(_title(fault), {})[cell] = marks.get(point.name, TO_DO)
    for title, table in sorted(cells.items()):
        yield _Table(
            title=title,
            columns=tuple(sorted({numbers for _, numbers in table})),
            rows=tuple(sorted({who for who, _ in table}, key=lambda who: (len(who), who))),
            marks=table,
        )


def _title(fault: PlannedFault) -> str:
    """`sigkill at step`, `sigkill at save+during`, `exit(3) at epoch,batch`."""
    kind = str(fault).partition("@")[0]
    when = fault.when
    unit = f"save+{when.part}" if when.point is Point.SAVE else when.point.replace("_", ",")
    return f"{kind} at {unit}"


def _who(point: Scenario) -> str:
    when = point.faults[-1].when
    ranks = [fault.rank for fault in point.faults if fault.when == when]
    return f"rank {'+'.join(map(str, ranks))}" if len(ranks) <= _MAX_NAMED else f"{len(ranks)} ranks"


def _rendered(table: _Table, width: int) -> Iterator[Text]:
    """Each cell below its label if there is room for all, otherwise one letter a cell and a label for every fifth."""
    margin = max(map(len, table.rows)) + 2
    labels = [",".join(map(str, numbers)) for numbers in table.columns]
    cell = max(map(len, labels)) + 1
    room = max(1, width - margin)
    if cell * len(labels) > room:
        cell = 1
    per_line = max(1, room // cell)
    yield Text(table.title, style="bold")
    for start in range(0, len(labels), per_line):
        stop = min(start + per_line, len(labels))
        yield Text(" " * margin + _header(labels[start:stop], cell), style="dim")
        for who in table.rows:
            yield _row(table, who, margin, table.columns[start:stop], cell)


def _header(labels: Sequence[str], cell: int) -> str:
    if cell > 1:
        return "".join(label.ljust(cell) for label in labels).rstrip()
    header = ""
    for position in range(0, len(labels), _TICK):
        if len(header) <= position:
            header = header.ljust(position) + labels[position] + " "
    return header.rstrip()


def _row(table: _Table, who: str, margin: int, columns: Iterable[tuple[int, ...]], cell: int) -> Text:
    row = Text(who.ljust(margin))
    for numbers in columns:
        mark = table.marks.get((who, numbers))
        row.append((mark.letter if mark else "").ljust(cell), style=mark.style if mark else "")
    row.rstrip()
    return row


def _legend(marks: Iterable[Mark]) -> Text:
    seen = set(marks)
    text = Text()
    for mark in (*OUTCOMES.values(), TO_DO, RUNNING, COLD):
        if mark in seen:
            text.append(f"{mark.letter} ", style=mark.style).append(f"{mark.meaning}  ", style="dim")
    text.rstrip()
    return text
