"""What one process has written, wherever it lies: a text of whole lines, of which the older parts are compressed.

i000-r0000-7.jsonl        the first part, to which the process adds its lines
i000-r0000-7.jsonl.1      the second one, once the first is full; and so on
i000-r0000-7.jsonl.zst    the parts that are packed, a frame each (zstandard); `zstd -dc` prints them

A part is packed while the next but one is written, and its file is removed only when it lies in the archive as a whole. So
each part is there at any moment, whenever its writer is killed: in one of the two, or in both. What a text says at a place
never changes, and who reads it while it is written and packed notices nothing.
"""

from __future__ import annotations

import errno
import glob
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from io import BufferedReader, RawIOBase
from pathlib import Path

from resumable.launch.system.safe_io import read_end, read_from
from resumable.launch.system.zstandard import read_frame

PART_BYTES = 1 << 18
"""Of a full part: it is packed in half a millisecond, and unpacked as a whole where somebody looks into it."""
MAX_LINE_BYTES = 1 << 26
"""A hole in a file costs its author nothing, and its reader as much memory as it is long."""
_FILE = re.compile(r"(.+\.jsonl)(?:\.zst|\.[1-9]\d{0,8})?", re.DOTALL)
_BUFFER_BYTES = 1 << 17
_MOST_UNPACKED = 128
"""Parts of all texts together that are kept as text."""


def part_of(path: Path, number: int) -> Path:
    """The file of a part, counted from 0."""
    return path.with_name(f"{path.name}.{number}") if number else path


def archive_of(path: Path) -> Path:
    """The file of the parts that are packed."""
    return path.with_name(f"{path.name}.zst")


def texts_in(folder: Path, pattern: str = "*") -> list[Path]:
    """The texts whose files lie in a folder, by the name of their first part, which itself may be packed.

    Args:
        folder: That may be missing.
        pattern: What stands before `.jsonl` in their names.
    """
    found = (_FILE.fullmatch(file.name) for file in folder.glob(f"{pattern}.jsonl*"))
    return [folder / name for name in sorted({match[1] for match in found if match is not None})]


class RecordedText:
    """Reads one text; it may be written meanwhile.

    Args:
        path: Of its first part.

    All methods raise OSError where a part cannot be read, is no regular file or is missing before others, and where a packed
    one is met without zstandard; FileNotFoundError where there is nothing of the text.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begins = array("Q", [0])
        """Of the packed parts that were met: where each begins in the text; last, where what follows them begins."""
        self._frames = array("Q", [0])
        """Where each lies in the archive, likewise."""

    def lines(self) -> Iterator[bytes]:
        """All lines, each with its newline but for what stands behind the last one."""
        with BufferedReader(_Raw(self), _BUFFER_BYTES) as text:
            while line := text.readline(MAX_LINE_BYTES):
                if len(line) == MAX_LINE_BYTES:
                    raise line_too_long(self._path)
                yield line

    def read_from(self, offset: int, size_bytes: int) -> bytes:
        """At most so many bytes of the text, from an offset on; fewer only at its end."""
        pieces: list[bytes] = []
        while size_bytes > 0 and (piece := self.piece(offset, size_bytes)):
            pieces.append(piece)
            offset += len(piece)
            size_bytes -= len(piece)
        return b"".join(pieces)

    def read_end(self, size_bytes: int) -> bytes:
        """The last bytes of the text, at most so many."""
        number = self._last_number()
        end = self._end_of_part(number, size_bytes)
        while number > 0 and len(end) < size_bytes:
            number -= 1
            end = self._end_of_part(number, size_bytes - len(end)) + end
        return end

    def modified_s(self) -> float:
        """When the last line was written, in seconds since 1970."""
        return part_of(self._path, self._last_number()).stat().st_mtime

    def piece(self, offset: int, size_bytes: int) -> bytes:
        """Some of the bytes that `read_from` gives: those that lie in one part."""
        while offset >= self._begins[-1]:
            try:
                return self._plain(offset, size_bytes)
            except FileNotFoundError:
                if not self._meet_packed():  # else it was packed, maybe just now
                    if self._num_packed and not self._is_there(self._num_packed + 1):
                        return b""
                    raise
        number = bisect_right(self._begins, offset) - 1
        begin = offset - self._begins[number]
        return _unpacked(self, number)[0][begin : begin + size_bytes]

    def _plain(self, offset: int, size_bytes: int) -> bytes:
        """Of the parts behind the packed ones that were met."""
        number, begin = self._num_packed, self._begins[-1]
        while not (piece := read_from(part_of(self._path, number), offset - begin, size_bytes)):
            is_full = self._is_there(number + 1)  # asked first: a part without a next one may grow
            end = begin + part_of(self._path, number).stat().st_size
            if end <= offset:
                if not is_full and not self._is_there(number + 2):
                    return b""
                number, begin = number + 1, end
        return piece

    @property
    def _num_packed(self) -> int:
        return len(self._frames) - 1

    def _is_there(self, number: int) -> bool:
        return part_of(self._path, number).exists()

    def _meet_packed(self) -> bool:
        """Take note of one more packed part; whether there is one."""
        try:
            text, end = _unpacked(self, self._num_packed)
        except FileNotFoundError:
            return False
        self._begins.append(self._begins[-1] + len(text))
        self._frames.append(end)
        return True

    def unpack(self, number: int) -> tuple[bytes, int]:
        """A packed part, and where the next one begins in the archive; the parts before it were met."""
        archive = archive_of(self._path)
        frame = read_frame(archive, self._frames[number])
        if frame is None:
            raise FileNotFoundError(errno.ENOENT, f"part {number} is missing", str(archive))
        return frame

    def _end_of_part(self, number: int, size_bytes: int) -> bytes:
        try:
            return read_end(part_of(self._path, number), size_bytes)
        except FileNotFoundError:
            while self._num_packed <= number:
                if not self._meet_packed():
                    raise
        return _unpacked(self, number)[0][-size_bytes:]

    def _last_number(self) -> int:
        """Of the part that is written, or was last."""
        if self._is_there(0) and not self._is_there(1):  # of most texts there is no more
            return 0
        names = (file.name for file in self._path.parent.glob(f"{glob.escape(self._path.name)}.*"))
        numbers = [int(suffix) for name in names if (suffix := name.rpartition(".")[2]).isdecimal()]
        while not numbers and self._meet_packed():
            pass
        return max(numbers, default=max(0, self._num_packed - 1))


def line_too_long(path: Path) -> OSError:
    """What reading a text raises whose line is longer than `MAX_LINE_BYTES`."""
    return OSError(errno.EFBIG, f"a line is longer than {MAX_LINE_BYTES >> 20} MiB", str(path))


@lru_cache(maxsize=_MOST_UNPACKED)
def _unpacked(text: RecordedText, number: int) -> tuple[bytes, int]:
    """Judging goes through each part several times."""
    return text.unpack(number)


class _Raw(RawIOBase):
    """A text as Python's own readers read it."""

    def __init__(self, text: RecordedText) -> None:
        self._text = text
        self._offset = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        piece = self._text.piece(self._offset, len(buffer))
        buffer[: len(piece)] = piece
        self._offset += len(piece)
        return len(piece)
