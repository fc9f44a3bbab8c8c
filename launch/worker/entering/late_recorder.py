"""A recorder that begins before it is known whose evidence it writes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from resumable.launch.evidence.chained_lines import chained
from resumable.launch.evidence.rank_records import AnyRecord, Start, encode_line
from resumable.launch.worker.parted_file import PartedFile
from resumable.launch.worker.recorder import R, Recorder

_MOST_HELD = 1 << 16
"""Lines of a process that is no rank: one that only reads data, for example."""


class LateRecorder(Recorder):
    """Holds its lines until it is given a file; what it then cannot write ends the record, and never the job."""

    def __init__(self) -> None:
        self._held: list[AnyRecord] | None = []
        self._begin_anew(1)
        self._listen()

    def begin(self, path: Path, **start: Any) -> None:
        """Write the first line, and all that were held.

        Args:
            path: The file; it must not exist yet.
            start: Fields of the `Start` record.
        """
        with self.alone():
            self._file = PartedFile(path)
            first = Start(sequence=0, time_ns=time.monotonic_ns(), **start)
            held, self._held = self._held or [], None
            for record in (first, *held):
                line, self._link = chained(encode_line(record), self._link)
                self._file.size_bytes += os.write(self._file.descriptor, line)

    def adopt(self) -> None:
        """Record the process that this one has become by a fork, as if nothing had been before."""
        self._held = []
        self._begin_anew(1)

    def emit(self, record_type: type[R], **fields: Any) -> R | None:
        """See `Recorder`."""
        try:
            return super().emit(record_type, **fields)
        except OSError:  # a disk that is full, a share that is gone
            self.close()
            return None

    def write(self, record_type: type[R], fields: dict[str, Any]) -> R | None:
        """See `Recorder`."""
        if self._held is None:
            return super().write(record_type, fields)
        record = record_type(sequence=self._sequence, time_ns=time.monotonic_ns(), **fields)
        self._sequence += 1
        if len(self._held) == _MOST_HELD:
            self._held.clear()  # the numbers say that lines are missing, should it be a rank after all
        self._held.append(record)
        return record
