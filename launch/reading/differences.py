"""Where two sequences part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def first_difference(one: Sequence[T], other: Sequence[T], key: Callable[[T], object] | None = None) -> int | None:
    """The first index at which two sequences differ; None if they are equal.

    Args:
        one: A sequence.
        other: Another; where one of them ends before the other, they differ at that end.
        key: What of each element is compared; None: the elements themselves.
    """
    pairs = zip(one, other, strict=False)
    unequal = (n for n, (a, b) in enumerate(pairs) if (a != b if key is None else key(a) != key(b)))
    at_end = None if len(one) == len(other) else min(len(one), len(other))
    return next(unequal, at_end)
