"""The lines of a file of evidence, decoded where somebody looks at them: evidence may be longer than the memory is large."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar, overload

import msgspec

from resumable.launch.errors import EvidenceError
from resumable.launch.evidence.chained_lines import Chain
from resumable.launch.evidence.recorded_text import RecordedText

_R = TypeVar("_R")
_BLOCK_LINES = 128
"""Are read at once."""
_MOST_BLOCKS = 4
"""Are kept as text."""
_BROKEN = "its link does not follow from the line before: one of the two was changed, moved or removed"


class Lines(Sequence[_R], Generic[_R]):
    """The whole and readable lines of one text, in order; as good as a tuple of records, and small.

    Args:
        path: Of the text, as `RecordedText` reads it. Lines may be added while it is read; what was read must stay as it is.
        decode: What makes a record of a line.

    A record costs its decoding each time; what is read in order is read in blocks.

    Raises:
        EvidenceError: what was read once is not there any more.
    """

    flaw: tuple[int, str] | None = None
    """The first line that cannot be believed, from 1, and what is wrong with it; the lines before it are there."""
    is_torn = False
    """The last line was cut off: its writer was killed while it wrote."""
    has_links = False
    """They vouch for each other."""

    def __init__(self, path: Path, decode: Callable[[bytes], _R]) -> None:
        self._path = path
        self._text = RecordedText(path)
        self._decode = decode
        self._begins = array("Q", [0])
        """Offset of the first line of each block; of the end, once all is read."""
        self._num_lines = 0
        self._blocks: dict[int, list[bytes]] = {}

    def read(self, note: Callable[[int, _R], str]) -> None:
        """Read the file once, from its begin to its end or its first flaw.

        Args:
            note: Takes note of each record and its place, from 0; says what is wrong with it, or "".

        Raises:
            OSError: it cannot be read.
        """
        chain, offset = Chain(), 0
        try:
            for line in self._text.lines():
                if not line.endswith(b"\n"):
                    self.is_torn = True
                    break
                what = _BROKEN if chain.is_broken(line[:-1]) else self._noted(line, note)
                if what:
                    self.flaw = (self._num_lines + 1, what)
                    break
                offset += len(line)
                self._num_lines += 1
                if self._num_lines % _BLOCK_LINES == 0:
                    self._begins.append(offset)
        finally:  # the lines before one that cannot be read are there
            self.has_links = chain.has_links
            if self._num_lines % _BLOCK_LINES:
                self._begins.append(offset)

    def _noted(self, line: bytes, note: Callable[[int, _R], str]) -> str:
        try:
            return note(self._num_lines, self._decode(line))
        except msgspec.DecodeError as error:
            return f"cannot be decoded: {error}"

    def __len__(self) -> int:
        return self._num_lines

    def __iter__(self) -> Iterator[_R]:
        return self._between(0, self._num_lines)

    @overload
    def __getitem__(self, index: int) -> _R: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[_R, ...]: ...

    def __getitem__(self, index: int | slice) -> _R | tuple[_R, ...]:
        if isinstance(index, slice):
            places = range(self._num_lines)[index]
            is_in_order = places.step == 1
            return tuple(self._between(places.start, places.stop) if is_in_order else map(self.__getitem__, places))
        if not -self._num_lines <= index < self._num_lines:
            raise IndexError(f"line {index} of {self._num_lines}")
        block, place = divmod(index % self._num_lines, _BLOCK_LINES)
        return self._decode(self._block(block)[place])

    def _between(self, begin: int, end: int) -> Iterator[_R]:
        if begin < end:
            first, last = begin // _BLOCK_LINES, (end - 1) // _BLOCK_LINES
            lines = (line for block in range(first, last + 1) for line in self._block(block))
            yield from map(self._decode, islice(lines, begin % _BLOCK_LINES, begin % _BLOCK_LINES + end - begin))

    def _block(self, number: int) -> list[bytes]:
        block = self._blocks.get(number)
        if block is None:
            begin, end = self._begins[number], self._begins[number + 1]
            block = self._between_offsets(begin, end).split(b"\n")[:-1]
            if len(self._blocks) >= _MOST_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[number] = block
        return block

    def _between_offsets(self, begin: int, end: int) -> bytes:
        try:
            text = self._text.read_from(begin, end - begin)
        except OSError:
            text = b""
        if len(text) < end - begin:
            raise EvidenceError(f"{self._path}: was removed or cut off while it was read")
        return text
