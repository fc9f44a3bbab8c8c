"""What a sweep from Python is asked for; nothing is loaded for it."""

from __future__ import annotations

from typing import TypedDict


class SweepWords(TypedDict, total=False):
    """Which points of training a sweep hits, in the words of the command line."""

    at: str
    """Moments: `all` (the default), `every:N`, or a list such as `3,10-20,save#1+during`."""
    ranks: str
    """Who is hit: `each` (the default), `any`, `all`, or a list such as `0,2-3,0+1`."""
    kinds: str
    """Kinds of faults, such as `sigkill,torn(keep=0.5)`; `sigkill` by default."""
    sample: int | None
    """Only so many of the points, drawn from the seed."""
