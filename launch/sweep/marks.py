"""How an outcome looks, wherever one is shown."""

from __future__ import annotations

import msgspec

from resumable.launch.explain.outcome import Outcome


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One look for one state; readable without colour."""

    letter: str
    """In a grid of text."""
    symbol: str
    """In a grid of a page."""
    word: str
    """Beside the name of a check."""
    style: str
    """Of a terminal."""
    meaning: str


OUTCOMES = {
    Outcome.VALID: Mark(letter=".", symbol="·", word="ok", style="green", meaning="VALID"),
    Outcome.INVALID: Mark(letter="X", symbol="✕", word="WRONG", style="bold red", meaning="INVALID"),
    Outcome.UNKNOWN: Mark(letter="?", symbol="?", word="unknown", style="yellow", meaning="UNKNOWN"),
}
NOT_APPLICABLE = Mark(letter="", symbol="", word="-", style="dim", meaning="not applicable")
TO_DO = Mark(letter="-", symbol="", word="", style="dim", meaning="to do")
NOT_RUN = Mark(letter="-", symbol="-", word="", style="dim", meaning="not run")
RUNNING = Mark(letter=">", symbol="", word="", style="cyan", meaning="running")
AGAIN = Mark(letter="~", symbol="", word="", style="cyan", meaning="again on plain processes")


def mark_of(outcome: Outcome) -> Mark:
    """The look of an outcome, that of a check too."""
    return OUTCOMES.get(outcome, NOT_APPLICABLE)
