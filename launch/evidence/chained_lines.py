"""Lines that vouch for each other: each carries a checksum over itself and, through the line before it, all earlier ones.

A line that was changed, removed, moved or put in breaks the chain at the line after it, at the latest. What a chain cannot
show by itself is that its end is missing: a process that was killed leaves such a file. So whoever saw the end of a file
keeps its last link (`resumable.launch.evidence.seal`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import xxhash

from resumable.launch.evidence.recorded_text import MAX_LINE_BYTES, RecordedText, line_too_long

_START = "0" * 16
"""Before the first line."""
_END = re.compile(rb',"link":"([0-9a-f]{16})"}\Z')
_END_BYTES = 27
_WINDOW_BYTES = 1 << 14
_link = xxhash.xxh3_64_hexdigest


def chained(line: bytes, before: str = "") -> tuple[bytes, str]:
    """A line with its link.

    Args:
        line: A JSON object with its newline.
        before: Link of the line before it; "" for the first one.

    Returns:
        The line that is to be written, and its link: 16 hexadecimal digits.
    """
    body = line[:-2]
    link = _link(body, seed=int(before or _START, 16))
    return b'%b,"link":"%b"}\n' % (body, link.encode()), link


class Chain:
    """Follows the lines of one file, without their newlines; a file without any links holds no broken line."""

    def __init__(self) -> None:
        self._before = _START
        self._is_first = True
        self.has_links = False
        """Whether any line so far had one."""

    def is_broken(self, line: bytes) -> bool:
        """Whether the link of the next line is not the one that follows from the line before."""
        found, before = link_of(line), self._before
        self._before = found
        self.has_links = self.has_links or bool(found)
        is_first, self._is_first = self._is_first, False
        if not self.has_links or (is_first and not found):
            return False
        return not found or not before or found != _link(line[:-_END_BYTES], seed=int(before, 16))


def link_of(line: bytes) -> str:
    """The link that a line without its newline carries; "" if it has none."""
    found = _END.match(line, max(0, len(line) - _END_BYTES))
    return found[1].decode() if found else ""


def last_link(path: Path) -> str:
    """The link of the last whole line of a text, as `RecordedText` reads it; "" if there is none.

    Raises:
        OSError: it cannot be read, or a line at its end is longer than `MAX_LINE_BYTES`.
    """
    text, window = RecordedText(path), _WINDOW_BYTES
    while window < 4 * MAX_LINE_BYTES:
        end = text.read_end(window)
        whole, newline, _ = end.rpartition(b"\n")
        _, has_begin, last = whole.rpartition(b"\n")
        if has_begin or len(end) < window:
            return link_of(last if has_begin else whole) if newline else ""
        window *= 4
    raise line_too_long(path)


class ChainedFile:
    """Appends lines to a file, each with one `write(2)`; a file that is there is carried on.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._link = last_link(path) if path.exists() else ""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, line: bytes) -> None:
        """Append a JSON object, which ends with a newline."""
        whole, self._link = chained(line, self._link)
        os.write(self._file, whole)

    def close(self) -> None:
        """Write nothing any more."""
        os.close(self._file)

    def __enter__(self) -> ChainedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
