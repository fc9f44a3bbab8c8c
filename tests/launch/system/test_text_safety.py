import html
import json
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resumable.launch.system.text_safety import (
    MAX_TEXT,
    fenced,
    json_document,
    markdown,
    markdown_prose,
    printable,
    workflow_message,
    workflow_property,
)

ACTIVE = set("<>|\\`*_[]~@#$\n")


@given(st.text(max_size=200))
def test_nothing_in_a_line_of_markdown_is_markup(text):
    """No active character is left, and what a browser shows is the text."""
    line = markdown(text)
    shown = html.unescape(line)
    assert set() == ACTIVE & set(line.replace("&#", ""))
    assert " ".join(printable(text).split()) == shown


@given(st.text(alphabet="`a<>\n/code", max_size=60))
@example("`a` and `b`")
def test_of_a_sentence_backticks_alone_are_markup(text):
    """They become elements, each closed; all else is as it is in a line without any."""
    line = markdown_prose(text)
    assert line.count("<code>") == line.count("</code>")
    assert markdown(text) == re.sub("</?code>", "&#96;", line)


@given(st.text(alphabet="`a\n", max_size=60))
def test_a_fence_is_closed_by_nothing_inside(text):
    """No line of the content is a run of backticks as long as the fence."""
    first, *body, last = fenced(text).split("\n")
    assert first == last
    assert not any(last in line for line in body)


@given(st.text(max_size=200))
def test_a_workflow_command_stays_one_line(text):
    """GitHub ends a command at the end of the line, and a property at a colon or a comma."""
    assert set() == set("\r\n") & set(workflow_message(text))
    assert set() == set("\r\n:,") & set(workflow_property(text))


def test_workflow_commands_are_escaped_as_github_unescapes_them():
    """The percent sign first, or the others would be escaped twice."""
    assert (workflow_message("50%\na:b,c"), workflow_property("50%\na:b,c")) == ("50%25%0Aa:b,c", "50%25%0Aa%3Ab%2Cc")


@pytest.mark.parametrize("code", [c for c in range(0x110000) if unicodedata.category(chr(c)) in ("Cf", "Zl", "Zp")])
def test_nothing_that_turns_the_reading_around_is_shown(code):
    """Directions, separators of lines and paragraphs, joiners, tags: what is shown is what is there."""
    assert printable(f"a{chr(code)}b") == "a\ufffdb"


@given(st.text(alphabet=":#[]er o\n\t ", max_size=40), st.integers(1, 40))
@example("x" * 20 + "::error file=a::b", 20)
@example("##[error]b", 40)
@example("::error::", 40)
def test_no_line_however_it_is_broken_is_a_workflow_command(text, width):
    """A terminal breaks lines where it will; GitHub trims them, and knows two forms."""
    shown = printable(text)
    lines = [part for line in shown.split("\n") for part in (line, *(line[n:] for n in range(len(line))))]
    assert [line for line in lines if re.match(r"\s*::[A-Za-z][\w-]*( .*?)?::", line) or "##[" in line] == []


@pytest.mark.parametrize("text", ["std::vector", "tests/test_a.py::test_b", "a: b:: c", "## heading"])
def test_what_is_no_command_is_shown_as_it_is(text):
    """Two colons alone are none."""
    assert text == printable(text)


@pytest.mark.parametrize("code", [0, 7, 0x1B, 0x7F, 0x9B, 0xD800, 0xFFFE])
def test_what_xml_and_terminals_choke_on_is_replaced(code):
    """Control characters, lone surrogates, non-characters."""
    assert printable(f"a{chr(code)}b") == "a\ufffdb"


def test_a_text_without_end_is_cut():
    """And what is missing is counted."""
    assert printable("x" * (MAX_TEXT + 5)) == "x" * MAX_TEXT + " ... (5 more characters)"


@given(st.text(alphabet="a:#[ \n\t\x07\x9b\u202e\u2028\U000e0041\u00e9"))
@example("##[error]a::error::b")
def test_json_that_is_printed_steers_nothing_and_says_the_same(text):
    """A terminal and a workflow read it as well as a program does."""
    document = json_document({text: [text]}).decode()
    assert (json.loads(document), [line for line in document.split("\n") if printable(line) != line]) == (
        {text: [text]},
        [],
    )


def test_json_holds_names_that_are_no_unicode():
    """Of files that somebody else has put there."""
    assert json.loads(json_document({"a\udcff": "b\udcff"})) == {"a\\udcff": "b\\udcff"}
