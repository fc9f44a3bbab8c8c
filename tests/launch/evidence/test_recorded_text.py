"""A text reads as it was written, however much of it is packed, and whenever its writer was killed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.evidence import recorded_text
from resumable.launch.evidence.chained_lines import last_link
from resumable.launch.evidence.recorded_text import RecordedText, archive_of, part_of, texts_in
from resumable.launch.system import zstandard
from tests.launch.marks import packs

NUM_PARTS = 6
PARTS = [b"".join(b'{"line":"%d of %d"}\n' % (line, part) for line in range(3 + part)) for part in range(NUM_PARTS)]
TEXT = b"".join(PARTS)


def written(folder: Path, num_packed: int, first_plain: int, *, num_parts: int = NUM_PARTS, cut: int = 0) -> Path:
    """The text with its first parts packed, and those from another one on as they were written.

    Args:
        cut: Bytes that are missing at the end of the archive.
    """
    path = folder / "i000-r0000-7.jsonl"
    archive = b"".join(zstandard.frame_of(part) for part in PARTS[:num_packed]) if num_packed else b""
    if archive:
        archive_of(path).write_bytes(archive[: len(archive) - cut])
    for number in range(first_plain, num_parts):
        part_of(path, number).write_bytes(PARTS[number])
    return path


@packs
@pytest.mark.parametrize(
    ("num_packed", "first_plain", "cut"),
    [
        pytest.param(0, 0, 0, id="nothing is packed"),
        pytest.param(1, 0, 0, id="packed and not removed yet"),
        pytest.param(4, 4, 0, id="as it is most of the time"),
        pytest.param(4, 3, 9, id="killed while a part was packed"),
        pytest.param(4, 2, 0, id="some lie there twice"),
        pytest.param(NUM_PARTS, NUM_PARTS, 0, id="all of it is packed"),
    ],
)
class TestAText:
    @pytest.fixture
    def path(self, tmp_path: Path, num_packed: int, first_plain: int, cut: int) -> Path:
        return written(tmp_path, num_packed, first_plain, cut=cut)

    def test_has_the_lines_that_were_written(self, path: Path) -> None:
        """In their order, each once."""
        assert TEXT.splitlines(keepends=True) == list(RecordedText(path).lines())

    def test_ends_as_it_was_written(self, path: Path) -> None:
        """However little or much of its end is asked for."""
        sizes = range(1, len(TEXT) + 9)
        assert [TEXT[-size:] for size in sizes] == [RecordedText(path).read_end(size) for size in sizes]

    def test_says_at_each_place_what_was_written_there(self, path: Path) -> None:
        """Whatever was looked at before."""
        text = RecordedText(path)
        places = [*range(0, len(TEXT), 7), *range(len(TEXT), 0, -11)]
        assert [TEXT[place : place + 50] for place in places] == [text.read_from(place, 50) for place in places]

    def test_is_one_text_of_its_folder(self, path: Path) -> None:
        """By the name of its first part, and beside files that are none."""
        (path.parent / "i000-r0000-7.jsonl.bak").touch()
        assert [path] == texts_in(path.parent) == texts_in(path.parent, "*-r0000-*")


@packs
@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=8), moments=st.data())
def test_a_reader_notices_nothing_of_what_is_packed_meanwhile(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], moments: st.DataObject
) -> None:
    """It reads on where it stopped; the parts before that, and behind it, move from file to archive."""
    path = written(tmp_path_factory.mktemp("text"), 0, 0)
    text, num_packed = RecordedText(path), 0
    for begin, end in pairwise([0, *sorted(cuts), len(TEXT)]):
        for number in range(num_packed, moments.draw(st.integers(num_packed, NUM_PARTS - 1))):
            with archive_of(path).open("ab") as archive:
                archive.write(zstandard.frame_of(PARTS[number]))
            part_of(path, number).unlink()
            num_packed = number + 1
        assert TEXT[begin:end] == text.read_from(begin, end - begin)


@packs
@pytest.mark.parametrize(
    ("num_packed", "first_plain", "cut"),
    [
        pytest.param(0, 1, 0, id="the first"),
        pytest.param(2, 3, 0, id="between archive and files"),
        pytest.param(3, 3, 9, id="the end of the archive"),
    ],
)
def test_a_part_that_is_missing_is_no_end(tmp_path: Path, num_packed: int, first_plain: int, cut: int) -> None:
    """What comes behind it would be left out in silence."""
    path = written(tmp_path, num_packed, first_plain, cut=cut)
    with pytest.raises(FileNotFoundError):
        list(RecordedText(path).lines())


def test_a_part_that_is_missing_between_files_is_no_end(tmp_path: Path) -> None:
    """Nothing of such a text is packed."""
    path = written(tmp_path, 0, 0, num_parts=3)
    part_of(path, 1).unlink()
    with pytest.raises(FileNotFoundError):
        list(RecordedText(path).lines())


def test_a_text_of_which_there_is_nothing_is_not_there(tmp_path: Path) -> None:
    """It has no end either."""
    assert texts_in(tmp_path / "nowhere") == []
    with pytest.raises(FileNotFoundError):
        last_link(tmp_path / "nowhere.jsonl")


def endless(archive: Path) -> None:
    archive.write_bytes(zstandard.frame_of(bytes(99)))


def spoilt(archive: Path) -> None:
    archive.write_bytes(b"{}\n" * 99)


def a_pipe(archive: Path) -> None:
    os.mkfifo(archive)


@packs
@pytest.mark.parametrize("spoil", [endless, spoilt, a_pipe])
def test_what_a_stranger_calls_an_archive_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None]
) -> None:
    """A frame may stand for any length, and a pipe would be waited for."""
    monkeypatch.setattr(zstandard, "MAX_FRAME_BYTES", 98)
    path = tmp_path / "i000-r0000-7.jsonl"
    spoil(archive_of(path))
    with pytest.raises(OSError, match=r"frame|no zstandard file|not a regular file"):
        list(RecordedText(path).lines())


def test_a_line_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole in a file is one."""
    monkeypatch.setattr(recorded_text, "MAX_LINE_BYTES", 1 << 16)
    path = tmp_path / "i000-r0000-7.jsonl"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="a line is longer than"):
        list(RecordedText(path).lines())


def test_without_zstandard_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are not packed are read all the same."""
    monkeypatch.setattr(zstandard, "_library", lambda: None)
    path = written(tmp_path, 0, 0, num_parts=2)
    assert PARTS[0] + PARTS[1] == b"".join(RecordedText(path).lines())
    part_of(path, 0).rename(archive_of(path))
    with pytest.raises(OSError, match=r"pip install backports.zstd"):
        list(RecordedText(path).lines())


@packs
@pytest.mark.skipif(shutil.which("zstd") is None, reason="the program zstd is missing")
def test_an_archive_is_what_the_program_zstd_reads(tmp_path: Path) -> None:
    """For who looks without us."""
    path = written(tmp_path, NUM_PARTS, NUM_PARTS)
    assert subprocess.run(["zstd", "-dc", archive_of(path)], check=True, capture_output=True, timeout=60).stdout == TEXT
