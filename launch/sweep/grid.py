"""Points as grids: one row for who is hit, one column for each moment; one grid for each kind of fault and unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from resumable.launch.plan.fault_model import PlannedFault, Point

T = TypeVar("T")
_MAX_NAMED = 3
"""Ranks that are hit together and named one by one."""


class Row(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """All that befalls the same ranks, or the same node."""

    who: str
    cells: tuple[tuple[T, ...], ...]
    """What came of each moment, in the order of the columns; empty where nothing was tried."""


class Grid(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """All points of one kind of fault whose moments are counted alike."""

    kind: str
    """With its argument: `exit(3)`."""
    unit: str
    """What the columns count: `step`, `epoch,batch`, `save+during`."""
    columns: tuple[str, ...]
    """The numbers of each moment, in order."""
    rows: tuple[Row[T], ...]


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    unit: str
    numbers: tuple[int, ...]
    is_node: bool
    hit: tuple[int, ...]
    """Ranks or nodes."""

    @property
    def row(self) -> tuple[bool, int, tuple[int, ...]]:
        """Single ranks first, in the order of their numbers."""
        return self.is_node, len(self.hit), self.hit


def grids_of(points: Iterable[tuple[Sequence[PlannedFault], T]]) -> tuple[Grid[T], ...]:
    """The grids of points, by kind and unit.

    Args:
        points: The faults of each, and what is to stand in its cell. Of faults at several moments the last one counts: those
            before only make it possible. A point without a fault has no place.
    """
    tables: dict[tuple[str, str], dict[_Place, list[T]]] = {}
    for faults, content in points:
        if faults:
            place = _place(faults)
            tables.setdefault((place.kind, place.unit), {}).setdefault(place, []).append(content)
    return tuple(_grid(kind, unit, table) for (kind, unit), table in sorted(tables.items()))


def _place(faults: Sequence[PlannedFault]) -> _Place:
    last = faults[-1]
    together = [fault for fault in faults if fault.when == last.when]
    unit = f"save+{last.when.part}" if last.when.point is Point.SAVE else last.when.point.replace("_", ",")
    return _Place(
        kind=last.kind.call(last.argument),
        unit=unit,
        numbers=last.when.numbers,
        is_node=last.rank is None,
        hit=tuple(sorted(number for f in together if (number := f.rank if f.rank is not None else f.node) is not None)),
    )


def _grid(kind: str, unit: str, table: dict[_Place, list[T]]) -> Grid[T]:
    columns = sorted({place.numbers for place in table})
    rows = {place.row: place for place in table}
    return Grid(
        kind=kind,
        unit=unit,
        columns=tuple(",".join(map(str, numbers)) for numbers in columns),
        rows=tuple(
            Row(
                who=_who(rows[row]),
                cells=tuple(
                    tuple(table.get(msgspec.structs.replace(rows[row], numbers=numbers), ())) for numbers in columns
                ),
            )
            for row in sorted(rows)
        ),
    )


def _who(place: _Place) -> str:
    noun = "node" if place.is_node else "rank"
    if len(place.hit) > _MAX_NAMED:
        return f"{len(place.hit)} {noun}s"
    return f"{noun} {'+'.join(map(str, place.hit))}"
