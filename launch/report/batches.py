"""Two lists of indices beside each other, shortened around the first place where they differ."""

from __future__ import annotations

import re
from collections.abc import Sequence

from resumable.launch.evidence.rank_records import Index
from resumable.launch.reading.differences import first_difference

_LABELS = ("expected ", "found    ")
_NOTHING = "nothing"
_NUM_SHOWN = 12
_DIGEST = re.compile(r"[0-9a-f]{32}")
"""A batch that is known by its content alone."""
_DIGEST_SHOWN = 8


def named(index: Index) -> str:
    """An index for people: of a digest, which nobody reads, its beginning."""
    text = str(index)
    return text[:_DIGEST_SHOWN] if _DIGEST.fullmatch(text) else text


def shortened(indices: Sequence[Index]) -> str:
    """The first few indices, and how many more there are."""
    hidden = len(indices) - _NUM_SHOWN
    return " ".join(map(named, indices[:_NUM_SHOWN])) + (f" and {hidden} more" if hidden > 0 else "")


def marked_difference(expected: Sequence[Index], found: Sequence[Index], width: int) -> list[str]:
    """Three lines: what was expected, what was found, and a mark under the first difference.

    Args:
        expected: Indices of a batch; empty if there should be none.
        found: Likewise, what came.
        width: Columns that a line may take.
    """
    left, right = _padded([named(index) for index in expected], [named(index) for index in found])
    differs = first_difference(left, right)
    if not left or differs is None:
        return [f"{label}{_row(cells) or _NOTHING}" for label, cells in zip(_LABELS, (left, right), strict=True)]
    start, stop = _window([len(cell) + 1 for cell in left], differs, width - len(_LABELS[0]) - len("... ") * 2)
    head = "... " if start else ""
    tail = " ..." if stop < len(left) else ""
    rows = [
        f"{label}{head}{_row(cells[start:stop])}{tail}" for label, cells in zip(_LABELS, (left, right), strict=True)
    ]
    mark = " " * (len(_LABELS[0]) + len(head) + sum(len(cell) + 1 for cell in left[start:differs]))
    return [*(row.rstrip() for row in rows), f"{mark}{'^' * len(left[differs])}"]


def _padded(expected: list[str], found: list[str]) -> tuple[list[str], list[str]]:
    """Both rows with as many cells, each as wide as its opposite."""
    num = max(len(expected), len(found))
    left, right = (cells + ["-"] * (num - len(cells)) for cells in (expected, found))
    widths = [max(len(one), len(other)) for one, other in zip(left, right, strict=True)]
    return (
        [cell.rjust(width) for cell, width in zip(left, widths, strict=True)],
        [cell.rjust(width) for cell, width in zip(right, widths, strict=True)],
    )


def _window(widths: Sequence[int], position: int, room: int) -> tuple[int, int]:
    """A range of cells around `position`, at least one, that fits the room; it keeps a little of what comes before."""
    start = stop = position
    used = 0
    while start > 0 and used + widths[start - 1] <= room // 3:
        start -= 1
        used += widths[start]
    while stop < len(widths) and (stop == position or used + widths[stop] <= room):
        used += widths[stop]
        stop += 1
    return start, stop


def _row(cells: Sequence[str]) -> str:
    return " ".join(cells)
