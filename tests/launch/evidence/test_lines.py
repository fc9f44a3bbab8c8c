"""Lines are as good as a tuple of records."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.errors import EvidenceError
from resumable.launch.evidence.chained_lines import ChainedFile
from resumable.launch.evidence.lines import Lines
from resumable.launch.evidence.rank_records import AnyRecord, LetGo, decode_line, encode_line

NUM_LINES = 300


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("lines") / "events.jsonl"
    with ChainedFile(file) as lines:
        for record in RECORDS:
            lines.write(encode_line(record))
    return file


RECORDS = tuple(LetGo(sequence=number, time_ns=number) for number in range(NUM_LINES))


def lines_of(path: Path) -> Lines[AnyRecord]:
    lines = Lines(path, decode_line)
    lines.read(lambda number, record: "" if record.sequence == number else "out of place")
    return lines


@given(number=st.integers(-NUM_LINES, NUM_LINES - 1))
def test_a_line_is_found_wherever_it_stands(path: Path, number: int) -> None:
    """Counted from the end, too."""
    assert RECORDS[number] == lines_of(path)[number]


@given(cut=st.slices(NUM_LINES))
def test_a_part_is_cut_out_as_of_a_tuple(path: Path, cut: slice) -> None:
    """In whichever direction and stride."""
    assert RECORDS[cut] == lines_of(path)[cut]


def test_all_lines_come_in_order_and_as_often_as_they_are_asked_for(path: Path) -> None:
    """They are read anew each time."""
    lines = lines_of(path)
    assert (tuple(lines), tuple(lines), len(lines), lines.flaw) == (RECORDS, RECORDS, NUM_LINES, None)


@pytest.mark.parametrize("number", [0, 1, 128, NUM_LINES - 1])
def test_what_stands_before_a_flaw_can_be_read(path: Path, tmp_path: Path, number: int) -> None:
    """The line with the flaw and all after it are not there."""
    text = path.read_bytes().splitlines(keepends=True)
    (tmp_path / "spoilt").write_bytes(b"".join([*text[:number], b"{}\n", *text[number + 1 :]]))
    lines = lines_of(tmp_path / "spoilt")
    assert (RECORDS[:number], number + 1) == (tuple(lines), lines.flaw[0] if lines.flaw else None)


def test_a_torn_end_is_no_line(path: Path, tmp_path: Path) -> None:
    """And no flaw."""
    (tmp_path / "torn").write_bytes(path.read_bytes()[:-1])
    lines = lines_of(tmp_path / "torn")
    assert (RECORDS[:-1], True, None) == (tuple(lines), lines.is_torn, lines.flaw)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: os.truncate(file, 9)])
def test_a_file_that_goes_while_it_is_read_is_named(path: Path, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """Nothing is made up for it."""
    file = tmp_path / "events.jsonl"
    file.write_bytes(path.read_bytes())
    lines = lines_of(file)
    spoil(file)
    with pytest.raises(EvidenceError, match="was removed or cut off while it was read"):
        tuple(lines)
