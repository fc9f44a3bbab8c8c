"""Grids as text for a terminal, readable without colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.text import Text

from resumable.launch.plan.plan import Scenario
from resumable.launch.sweep.grid import Grid, Row, grids_of
from resumable.launch.sweep.marks import AGAIN, OUTCOMES, RUNNING, TO_DO, Mark

_TICK = 5
"""Cells from one label of the narrow form to the next."""


def grid_lines(points: Sequence[Scenario], marks: Mapping[str, Mark], width: int) -> list[Text]:
    """The lines of all grids and of their legend; none without points.

    Args:
        points: Of the sweep.
        marks: By the name of the point; one that is missing is to do.
        width: Columns that a line may take; longer rows are folded.
    """
    if not points:
        return []
    looks = [marks.get(point.name, TO_DO) for point in points]
    grids = grids_of((point.faults, look) for point, look in zip(points, looks, strict=True))
    return [*(line for grid in grids for line in _lines(grid, width)), _legend(looks)]


def _lines(grid: Grid[Mark], width: int) -> Iterator[Text]:
    """Each cell below its label if there is room for all, otherwise one letter a cell and a label for every fifth."""
    margin = max(len(row.who) for row in grid.rows) + 2
    cell = max(map(len, grid.columns)) + 1
    room = max(1, width - margin)
    if cell * len(grid.columns) > room:
        cell = 1
    per_line = max(1, room // cell)
    yield Text(f"{grid.kind} at {grid.unit}", style="bold")
    for start in range(0, len(grid.columns), per_line):
        part = slice(start, start + per_line)
        yield Text(" " * margin + _header(grid.columns[part], cell), style="dim")
        yield from (_row(row, part, margin, cell) for row in grid.rows)


def _header(labels: Sequence[str], cell: int) -> str:
    if cell > 1:
        return "".join(label.ljust(cell) for label in labels).rstrip()
    header = ""
    for position in range(0, len(labels), _TICK):
        if len(header) <= position:
            header = header.ljust(position) + labels[position] + " "
    return header.rstrip()


def _row(row: Row[Mark], part: slice, margin: int, cell: int) -> Text:
    text = Text(row.who.ljust(margin))
    for looks in row.cells[part]:
        text.append((looks[-1].letter if looks else "").ljust(cell), style=looks[-1].style if looks else "")
    text.rstrip()
    return text


def _legend(looks: Iterable[Mark]) -> Text:
    seen = set(looks)
    text = Text()
    for mark in (*OUTCOMES.values(), TO_DO, RUNNING, AGAIN):
        if mark in seen:
            text.append(f"{mark.letter} ", style=mark.style).append(f"{mark.meaning}  ", style="dim")
    text.rstrip()
    return text
