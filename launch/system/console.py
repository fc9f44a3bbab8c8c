"""What is printed for people: as wide as a terminal, or a sentence a line where there is none."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from resumable.launch.system.environment import has_width
from resumable.launch.system.standard_streams import discard_output

UNLIMITED = 1_000_000
"""Columns of what is no terminal: a log or a pipe keeps a sentence in one line, for whoever searches it."""
DRAWING_WIDTH = 100
"""Columns that a drawing takes there."""


class OutputConsole(Console):
    """Goes on in silence when nobody reads any more: neither what is done nor the exit code hangs on a reader."""

    def __init__(self, *, force_terminal: bool | None) -> None:
        super().__init__(stderr=False, force_terminal=force_terminal, highlight=False)
        if not self.is_terminal and not has_width():
            self.width = UNLIMITED

    def on_broken_pipe(self) -> None:
        """Where rich would end the process with exit code 1, which means INVALID."""
        self.quiet = True
        discard_output()


def drawing_width(console: Console) -> int:
    """Columns for what has to be drawn in some width."""
    return console.width if console.width < UNLIMITED else DRAWING_WIDTH


def print_indented(console: Console, text: Text, *, head: Text | None = None, indent: int = 0) -> None:
    """Print a paragraph, folded where the terminal ends, and nothing behind the end of a line.

    Args:
        console: Where to.
        text: The paragraph; it may have lines of its own.
        head: Stands before the first line, in its indentation.
        indent: Columns before each line.
    """
    margin = Text(" " * indent)
    first = margin if head is None else head
    first.truncate(indent, pad=True)
    for number, line in enumerate(text.wrap(console, max(1, console.width - indent))):
        line.rstrip()
        console.print((first if number == 0 else margin) + line, soft_wrap=True)
