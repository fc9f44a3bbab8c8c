"""The file in which a process records itself: in parts, of which the older ones are packed on the way."""

from __future__ import annotations

import math
import os
from pathlib import Path

from resumable.launch.evidence.recorded_text import PART_BYTES, archive_of, part_of
from resumable.launch.system import zstandard
from resumable.launch.system.descriptors import out_of_the_way

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
_ARCHIVE = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class PartedFile:
    """A text as `resumable.launch.evidence.recorded_text.RecordedText` reads it; without zstandard it stays in one part.

    Who writes counts what he writes in `size_bytes`, and calls `turn` before a line once it has reached `part_bytes`.

    Args:
        path: Of its first part, which must not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.descriptor = out_of_the_way(os.open(path, _NEW, 0o644))
        """Where the next line goes."""
        self.size_bytes = 0
        """Of the part that is written."""
        self.part_bytes = PART_BYTES if zstandard.is_there() else math.inf
        self._path = path
        self._number = 0
        self._full: list[int] = []
        """Descriptors of the full parts that are not packed yet."""

    def open_again(self) -> None:
        """Open the part that is written once more, for a script that has closed all that it found open."""
        part = part_of(self._path, self._number)
        self.descriptor = out_of_the_way(os.open(part, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC))

    def turn(self) -> None:
        """Go on in a new part, and pack the last but one.

        A signal's handler may write lines meanwhile, or raise. What is not done to its end, as on a full disk, is not tried
        again: the text goes on in the part that it has reached.
        """
        part_bytes, self.part_bytes = self.part_bytes, math.inf
        number = self._number + 1
        following, archive = part_of(self._path, number), archive_of(self._path)
        try:
            descriptor = out_of_the_way(os.open(following, _NEW, 0o644))
            self._full.append(self.descriptor)
            self.descriptor, self.size_bytes, self._number = descriptor, 0, number
            if len(self._full) > 1:
                text = os.pread(self._full[0], zstandard.MAX_FRAME_BYTES + 1, 0)
                if len(text) > zstandard.MAX_FRAME_BYTES:
                    return
                frame = zstandard.frame_of(text)
                packed = os.open(archive, _ARCHIVE, 0o644)
                num_bytes = os.write(packed, frame)
                os.close(packed)
                if num_bytes < len(frame):
                    return
                os.close(self._full.pop(0))
                os.unlink(part_of(self._path, number - 2))  # noqa: PTH108 - what it raises shows where
            self.part_bytes = part_bytes
        except OSError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise  # a signal's handler has raised it
