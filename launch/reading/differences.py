"""Where two sequences part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def first_difference(one: Sequence[T], other: Sequence[T]) -> int | None:
    """The first index at which two sequences differ; None if they are equal.

    Where one of them ends before the other, they differ at that end.
    """
    unequal = (number for number, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    at_end = None if len(one) == len(other) else min(len(one), len(other))
    return next(unequal, at_end)
