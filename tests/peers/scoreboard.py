"""What came of all stacks: as data, as Markdown, as a page, and as the table of the README."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import jinja2
import msgspec

from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Confirmation
from resumable.launch.system.text_safety import markdown as escaped
from resumable.launch.system.wording import listed
from tests.peers.catalogue import STACKS, Stack
from tests.peers.cells import CELLS

MARKS = {Outcome.VALID: "✓", Outcome.INVALID: "✗"}

_PLACE = re.compile(r"(<!-- scoreboard: .*? -->\n).*?(<!-- end of the scoreboard -->)", re.DOTALL)

_THREAD = re.compile(r"\b([\w.-]+/[\w.-]+)#(\d+)")
"""An issue or a pull request, as GitHub abbreviates it."""

Row = Mapping[str, "Result"]
"""The results of one stack, by the name of a cell."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of one row."""

    stack: str
    cell: str
    outcome: Outcome
    confirmation: Confirmation
    """Whether plain processes, without a fork server, gave the same cause."""
    witness: str = ""
    """The cell of this row in which they did, where it was another one with the same cause."""
    reason: str
    """What the verdict says."""
    repeat: str
    """One command, given in this project's folder, that does it again."""
    versions: dict[str, str]
    """Of the stack's distributions, by name."""
    date: str = ""
    """ISO 8601."""

    @property
    def is_red(self) -> bool:
        """Refuted, and plain processes say so too."""
        return self.outcome is Outcome.INVALID and self.confirmation in ("both", "only plain")

    @property
    def mark(self) -> str:
        """One character; a question mark where nothing is proved."""
        return MARKS.get(self.outcome, "?")


class Scoreboard(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured; of each cell what came last."""

    results: tuple[Result, ...] = ()

    def with_result(self, result: Result) -> Scoreboard:
        """The same with one cell measured anew, and without cells that there are no more."""
        by_place = {(one.stack, one.cell): one for one in (*self.results, result)}
        places = [(stack.name, cell.name) for stack in STACKS for cell in CELLS]
        return Scoreboard(results=tuple(by_place[place] for place in places if place in by_place))

    @property
    def rows(self) -> list[tuple[Stack, Row]]:
        """The stacks of which something is known."""
        rows = [(stack, self.row(stack)) for stack in STACKS]
        return [(stack, row) for stack, row in rows if row]

    def row(self, stack: Stack) -> Row:
        """What is known of one stack."""
        return {one.cell: one for one in self.results if one.stack == stack.name}

    @property
    def unmeasured(self) -> list[tuple[str, str]]:
        """Stacks with cells of which nothing is known, and those cells."""
        left = [(stack.name, [cell.name for cell in CELLS if cell.name not in row]) for stack, row in self.rows]
        return [(name, listed(cells)) for name, cells in left if cells]

    @property
    def red(self) -> list[Result]:
        """All cells that are wrong."""
        return [result for result in self.results if result.is_red]

    @property
    def versions(self) -> dict[str, str]:
        """Of every distribution that took part."""
        return dict(sorted({name: number for one in self.results for name, number in one.versions.items()}.items()))


def read(file: Path) -> Scoreboard:
    """What was stored; nothing, where nothing was."""
    return msgspec.json.decode(file.read_bytes(), type=Scoreboard) if file.exists() else Scoreboard()


def write(scoreboard: Scoreboard, file: Path) -> None:
    """Store it, readable by a person."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(scoreboard), indent=2) + b"\n")


def markdown(scoreboard: Scoreboard) -> str:
    """The page about it."""
    return _rendered("page.md.j2", scoreboard)


def html(scoreboard: Scoreboard) -> str:
    """The same as one file for a browser."""
    return _rendered("page.html.j2", scoreboard)


def table(scoreboard: Scoreboard) -> str:
    """The marks alone, in Markdown."""
    return _rendered("table.md.j2", scoreboard)


def with_table(text: str, scoreboard: Scoreboard) -> str:
    """A text with the table between its two marks."""
    return _PLACE.sub(lambda marks: f"{marks[1]}\n{table(scoreboard)}\n{marks[2]}", text)


def _grouped(row: Row, stack: Stack) -> list[tuple[str, list[Result]]]:
    """The red cells of a row by their cause."""
    groups: dict[str, list[Result]] = {}
    for result in row.values():
        if result.is_red:
            groups.setdefault(stack.cause(result.cell), []).append(result)
    return list(groups.items())


def _linked(text: str) -> str:
    """Markdown in which threads are links; GitHub makes none of them in files."""
    return _THREAD.sub(r"[\g<0>](https://github.com/\1/issues/\2)", text)


def _rendered(template: str, scoreboard: Scoreboard) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=jinja2.select_autoescape(("html.j2",)),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["markdown"] = escaped
    environment.filters["linked"] = _linked
    text = environment.get_template(template).render(
        rows=scoreboard.rows,
        cells=CELLS,
        grouped=_grouped,
        unmeasured=scoreboard.unmeasured,
        versions=scoreboard.versions,
        days=listed(sorted({result.date for result in scoreboard.results})) if scoreboard.results else "",
    )
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"
