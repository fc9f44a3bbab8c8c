"""A recorder that begins before it is known whose evidence it writes, and may hold lines of steps back for a moment."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Container
from pathlib import Path
from typing import Any, get_args

from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, Record, Start, Step
from resumable.launch.worker.parted_file import PartedFile
from resumable.launch.worker.recorder import R, Recorder

_MOST_HELD = 1 << 16
"""Lines of a process that is no rank: one that only reads data, for example."""
_OF_STEPS = (Batch, Backward, Step)
_HOLD_NS = 1_000_000_000


class LateRecorder(Recorder):
    """Holds its lines until it is given a file."""

    def __init__(self) -> None:
        self.adopt()
        self._listen()

    def adopt(self) -> None:
        """Record this process, which a fork may have made, as if nothing had been before."""
        self._begin_anew(1)
        self._held = deque(maxlen=_MOST_HELD)  # the numbers say that lines are missing, should it be a rank after all
        self._kinds_held: Container[type[Record]] = get_args(AnyRecord)
        self._hold_until_ns = math.inf

    def begin(self, path: Path, *, holds_steps: bool = False, **start: Any) -> None:
        """Write the first line, and all that were held.

        Args:
            path: The file; it must not exist yet.
            holds_steps: Whether lines of steps are held for a second at most, and written together. When a step has ended,
                nothing of what that needs is left in a processor's caches: alone, each line costs many times as much. What
                is held when the process is killed is lost.
            start: Fields of the `Start` record.
        """
        with self.alone():
            self._file = PartedFile(path)
            first = Start(sequence=0, time_ns=time.monotonic_ns(), **start)
            text, self._link = self._chained([first, *self._held])
            self._held, self._kinds_held, self._hold_until_ns = [], _OF_STEPS if holds_steps else (), 0
            self._file.size_bytes += os.write(self._file.descriptor, text)

    def write(self, record_type: type[R], fields: dict[str, Any]) -> R | None:
        """See `Recorder`."""
        if record_type not in self._kinds_held:
            return super().write(record_type, fields)
        now_ns = time.monotonic_ns()
        if now_ns > self._hold_until_ns:
            self._hold_until_ns = now_ns + _HOLD_NS
            return super().write(record_type, fields)
        while True:
            sequence, held = self._sequence, self._held
            record = record_type(sequence=sequence, time_ns=now_ns, **fields)
            if sequence == self._sequence:  # from here to the end there is no call after which a handler could run
                self._sequence += 1
                held.append(record)
                return record
