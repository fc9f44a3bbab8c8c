"""Numbers, lists and places in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def counted(num: int, noun: str) -> str:
    """`1 rank`, `2 ranks`, `2 batches`."""
    if num == 1:
        return f"1 {noun}"
    return f"{num} {noun}es" if noun.endswith(("tch", "s")) else f"{num} {noun}s"


def listed(values: Sequence[object]) -> str:
    """`1`, `1 and 2`, `1, 2 and 5`."""
    *head, last = [str(value) for value in values]
    return f"{', '.join(head)} and {last}" if head else last


def listed_in_part(values: Sequence[object], num: int) -> str:
    """The first of so many: `a, b and 3 more`."""
    return listed([*values, f"{num - len(values)} more"] if num > len(values) else values)


def place(file: str, line: int | None = None) -> str:
    """`file:line`, which editors and terminals open; the file alone where the whole of it is meant."""
    return file if line is None else f"{file}:{line}"


def shown(path: Path) -> str:
    """Relative to where the user stands, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
