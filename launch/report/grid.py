"""A sweep as a grid: one row a rank, one column a moment."""

from __future__ import annotations

import re

import msgspec

from resumable.launch.judge.results import Case, Results
from resumable.launch.outcome import Outcome, worst

_FAULT = re.compile(r"(?P<kind>[^@]+)@(?P<when>[^:]+):(?P<who>.+)")
_NUMBER = re.compile(r"\d+")


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one kind of fault at one moment on one rank."""

    outcome: Outcome
    """The worst of its cases."""
    cases: tuple[Case, ...]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A rank, or whoever else the faults befell."""

    who: str
    cells: tuple[Cell | None, ...]
    """One for each column; None where nothing was tried."""


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """All cases of one kind of fault whose moments are counted alike."""

    kind: str
    unit: str
    """What the columns count: `step`, `epoch,batch`, `resume`."""
    columns: tuple[str, ...]
    """The numbers of each moment, in order."""
    rows: tuple[Row, ...]


class _Place(msgspec.Struct, frozen=True):
    kind: str
    unit: str
    numbers: tuple[int, ...]
    who: str


def grids_of(results: Results) -> tuple[Grid, ...]:
    """The grids of a sweep, by kind and unit. A case of several faults has no place in one."""
    tables: dict[tuple[str, str], dict[_Place, list[Case]]] = {}
    for case in results.cases:
        place = _place(case)
        if place is not None:
            tables.setdefault((place.kind, place.unit), {}).setdefault(place, []).append(case)
    return tuple(_grid(kind, unit, table) for (kind, unit), table in sorted(tables.items()))


def outside_grids(results: Results) -> tuple[Case, ...]:
    """The cases that no grid shows."""
    return tuple(case for case in results.cases if _place(case) is None)


def _place(case: Case) -> _Place | None:
    match = _FAULT.fullmatch(case.faults[0]) if len(case.faults) == 1 else None
    if match is None:
        return None
    when = match["when"]
    unit = _NUMBER.sub("", when).replace("=", "").replace("#", "").rstrip("+")
    return _Place(match["kind"], unit, tuple(map(int, _NUMBER.findall(when))), match["who"].replace("=", " "))


def _grid(kind: str, unit: str, table: dict[_Place, list[Case]]) -> Grid:
    columns = sorted({place.numbers for place in table})
    rows = sorted({place.who for place in table}, key=_natural)
    return Grid(
        kind=kind,
        unit=unit,
        columns=tuple(",".join(map(str, numbers)) for numbers in columns),
        rows=tuple(
            Row(who=who, cells=tuple(_cell(table.get(_Place(kind, unit, numbers, who))) for numbers in columns))
            for who in rows
        ),
    )


def _cell(cases: list[Case] | None) -> Cell | None:
    if cases is None:
        return None
    return Cell(outcome=worst(case.verdict.outcome for case in cases), cases=tuple(cases))


def _natural(text: str) -> tuple[str, list[int]]:
    """Sort key by which rank 10 comes after rank 9."""
    return _NUMBER.sub("", text), [int(number) for number in _NUMBER.findall(text)]
