"""Writes the evidence of one rank: one line an event, out of the process before the event has any consequence."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from launch.records import AnyRecord, encode_line

Observer = Callable[[AnyRecord], None]


class Recorder:
    """The evidence file of this process.

    Processes that the rank forks (loader workers) inherit the object; there it stays silent.

    Args:
        path: The file; it must not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._pid = os.getpid()
        self._sequence = 0
        self._lock = threading.RLock()
        self._observers: list[Observer] = []

    @property
    def is_active(self) -> bool:
        """Whether this process is the rank itself."""
        return os.getpid() == self._pid

    def observe(self, observer: Observer) -> None:
        """Call `observer` after each line; it may end the process."""
        self._observers.append(observer)

    def emit(self, record_type: type[AnyRecord], **fields: Any) -> None:
        """Write one line with a single write(2), then tell the observers."""
        if not self.is_active:
            return
        with self._lock:
            record = self._write(record_type, fields)
        for observer in self._observers:
            observer(record)

    def _write(self, record_type: type[AnyRecord], fields: dict[str, Any]) -> AnyRecord:
        """Give the record the next number and write it.

        A signal's handler may run after any call, and save a checkpoint for example: its lines then come first.
        """
        while True:
            sequence = self._sequence
            record = record_type(sequence=sequence, time_ns=time.monotonic_ns(), **fields)
            line = encode_line(record)
            if sequence == self._sequence:  # from here to the write there is no call after which a handler could run
                self._sequence += 1
                os.write(self._file, line)
                return record

    def sync(self) -> None:
        """Return once everything written lies on the disk."""
        os.fsync(self._file)
