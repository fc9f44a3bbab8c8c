from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from resumable.launch.system.console import OutputConsole, drawing_width, print_indented


def printed(text: str, *, width: int, head: str = "") -> list[str]:
    console = Console(file=io.StringIO(), width=width, no_color=True)
    print_indented(console, Text(text), head=Text(head), indent=4)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().split("\n")[:-1]


def test_a_paragraph_is_folded_behind_its_head() -> None:
    """Nothing stands behind the end of a line."""
    assert printed("one two three\nfour", width=12, head="ab") == ["ab  one two", "    three", "    four"]


def test_a_log_keeps_a_sentence_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever searches it finds it; a drawing stays a drawing."""
    monkeypatch.delenv("COLUMNS", raising=False)
    console = OutputConsole(force_terminal=False)
    sentence = "word " * 100
    assert [f"    {sentence.rstrip()}"] == printed(sentence, width=console.width)
    assert drawing_width(console) == 100
