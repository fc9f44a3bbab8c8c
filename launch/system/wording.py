"""Numbers, lists and places in a sentence."""

from __future__ import annotations

from collections.abc import Sequence


def counted(num: int, noun: str) -> str:
    """`1 rank`, `2 ranks`, `2 batches`."""
    if num == 1:
        return f"1 {noun}"
    return f"{num} {noun}es" if noun.endswith(("tch", "s")) else f"{num} {noun}s"


def listed(values: Sequence[object]) -> str:
    """`1`, `1 and 2`, `1, 2 and 5`."""
    *head, last = [str(value) for value in values]
    return f"{', '.join(head)} and {last}" if head else last


def place(file: str, line: int | None = None) -> str:
    """`file:line`, which editors and terminals open; the file alone where the whole of it is meant."""
    return file if line is None else f"{file}:{line}"
