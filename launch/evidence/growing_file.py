"""Evidence that is still written: what is new in it, line by line."""

from __future__ import annotations

import time
from pathlib import Path

from resumable.launch.evidence.recorded_text import RecordedText

_MAX_BYTES = 1 << 24
"""That are read at once; the rest comes with the next look."""


class GrowingFile:
    """Reads on where it stopped.

    Args:
        path: Of a text that may not be there yet, as `RecordedText` reads it.
    """

    def __init__(self, path: Path) -> None:
        self._text = RecordedText(path)
        self._offset = 0

    @property
    def silent_s(self) -> float:
        """Seconds since somebody wrote to it, by the clocks of both machines; 0 where that is not known."""
        try:
            return max(0.0, time.time() - self._text.modified_s())
        except OSError:
            return 0.0

    def new_lines(self) -> list[bytes]:
        """The whole lines since the last call, without their newlines; a torn one waits for its end.

        None where it cannot be read, or is no regular file.
        """
        try:
            data = self._text.read_from(self._offset, _MAX_BYTES)
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.splitlines()
