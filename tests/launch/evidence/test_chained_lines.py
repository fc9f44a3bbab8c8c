"""Lines that vouch for each other."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.evidence.chained_lines import Chain, ChainedFile, chained, last_link

OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), min_size=1), min_size=1)


def broken_lines(lines: Iterable[bytes]) -> list[int]:
    """Numbers of the lines whose link does not follow from the line before."""
    chain = Chain()
    return [number for number, line in enumerate(lines) if chain.is_broken(line)]


def chain_of(objects: list[dict[str, object]]) -> list[bytes]:
    """Lines without their newlines."""
    lines, link = [], ""
    for value in objects:
        line, link = chained(json.dumps(value).encode() + b"\n", link)
        lines.append(line[:-1])
    return lines


@given(OBJECTS)
def test_a_chain_holds_together_and_hides_nothing(objects: list[dict[str, object]]) -> None:
    """Each line is the object that it was, with one field more."""
    lines = chain_of(objects)
    read = [{name: value for name, value in json.loads(line).items() if name != "link"} for line in lines]
    assert ([], objects) == (broken_lines(lines), read)


@given(st.data())
def test_a_changed_line_breaks_it(data: st.DataObject) -> None:
    """Whichever byte of whichever line, the link itself included; so do removed, swapped and repeated lines."""
    lines = chain_of([{"n": number} for number in range(data.draw(st.integers(2, 6)))])
    number = data.draw(st.integers(0, len(lines) - 1))
    byte = data.draw(st.integers(0, len(lines[number]) - 1))
    changed = bytearray(lines[number])
    changed[byte] ^= 1
    assert broken_lines([*lines[:number], bytes(changed), *lines[number + 1 :]])[0] <= number + 1


@pytest.mark.parametrize("order", [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 2, 1, 3], [0, 1, 1, 2, 3], [3, 0, 1, 2]])
def test_removed_and_moved_lines_break_it(order: list[int]) -> None:
    """All but a removed end, which a killed process leaves too."""
    lines = chain_of([{"n": number} for number in range(4)])
    assert broken_lines([lines[number] for number in order])


def test_lines_without_any_link_are_of_an_earlier_release() -> None:
    """And are read as they are; one that lost its link among others is not."""
    lines = chain_of([{"n": 0}, {"n": 1}, {"n": 2}])
    plain = [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    assert broken_lines(plain) == []
    assert [broken_lines([*lines[:n], plain[n], *lines[n + 1 :]])[:1] for n in range(3)] == [[1], [1], [2]]


def test_a_file_is_carried_on(tmp_path: Path) -> None:
    """By whoever opens it next; lines longer than a look at its end are found."""
    for number in range(3):
        with ChainedFile(tmp_path / "lines") as file:
            file.write(json.dumps({"n": number, "text": "x" * 50_000}).encode() + b"\n")
    lines = (tmp_path / "lines").read_bytes().splitlines()
    assert (broken_lines(lines), json.loads(lines[-1])["link"]) == ([], last_link(tmp_path / "lines"))


@pytest.mark.parametrize(("content", "expected"), [(b"", ""), (b'{"n":', ""), (b'{"n":1}\n', "")])
def test_a_file_without_a_link_has_no_last_one(tmp_path: Path, content: bytes, expected: str) -> None:
    """It is empty, torn before its first line was whole, or of an earlier release."""
    (tmp_path / "lines").write_bytes(content)
    assert last_link(tmp_path / "lines") == expected


def test_what_is_torn_has_no_say_in_the_last_link(tmp_path: Path) -> None:
    """A process that was killed stops anywhere."""
    with ChainedFile(tmp_path / "lines") as file:
        file.write(b'{"n":1}\n')
    whole = last_link(tmp_path / "lines")
    with (tmp_path / "lines").open("ab") as torn:
        torn.write(b'{"n":2,"link":"0123456789abcdef"}')
    assert (last_link(tmp_path / "lines"), len(whole)) == (whole, 16)
