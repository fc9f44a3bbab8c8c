"""Writes the evidence of one rank: one line an event, out of the process before the event has any consequence."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar, get_args

from resumable.launch.evidence.chained_lines import chained
from resumable.launch.evidence.rank_records import AnyRecord, Record, encode_line
from resumable.launch.system.standard_error import say
from resumable.launch.worker.parted_file import PartedFile

R = TypeVar("R", bound=AnyRecord)


class Recorder:
    """The evidence file of this process.

    Processes that the rank forks (loader workers) inherit the object; there it stays silent. What cannot be written ends the
    record, and never the job.

    Args:
        path: The file; it must not exist yet.
    """

    is_active: bool
    """Whether this process is the rank itself, and its record has not ended."""
    _is_settling = False
    _settle: Callable[[], None] | None = None

    def __init__(self, path: Path) -> None:
        self._file = PartedFile(path)
        self._begin_anew(0)
        self._listen()

    def _begin_anew(self, sequence: int) -> None:
        """Be of this process, whose next line has this number."""
        self.is_active = True
        self._sequence = sequence
        self._link = ""
        self._held: MutableSequence[AnyRecord] = []
        """What is written with the next line."""
        self._lock = threading.RLock()

    def _listen(self) -> None:
        self._observers: dict[type[Record], list[Callable[[Any], object]]] = defaultdict(list)
        own = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _end(own()))

    def observe(self, observer: Callable[[Any], object], *kinds: type[Record]) -> None:
        """Call `observer` after each line of these kinds, of all if none is named; it may end the process.

        Args:
            observer: Called once for each line, however often it was named. It returns True if it needs to hear of no more
                lines of this kind: most of what is to be known shows in the first steps, and each call is time.
            kinds: Of lines.
        """
        for kind in kinds or get_args(AnyRecord):
            if observer not in self._observers[kind]:
                self._observers[kind].append(observer)

    def settle_with(self, settle: Callable[[], None] | None) -> None:
        """Call `settle` before each line from now on: it may write what happened before without having been seen."""
        self._settle = settle

    def emit(self, record_type: type[R], **fields: Any) -> R | None:
        """Write one line with a single write(2), then call the observers, who hear of all lines in their order.

        Returns:
            What was written; None in a process that is not the rank, or once the record has ended.
        """
        if not self.is_active:
            return None
        with self._lock:
            if self._settle is not None and not self._is_settling:
                self._is_settling = True
                try:
                    self._settle()
                finally:
                    self._is_settling = False
            record = self.write(record_type, fields)
            if record is not None:
                for observer in self._observers[record_type]:
                    if observer(record) is True:
                        self._observers[record_type] = [one for one in self._observers[record_type] if one != observer]
        return record

    def alone(self) -> AbstractContextManager[object]:
        """While it lasts no other thread writes a line: one that trained on would deny the fault that is just acting."""
        return self._lock

    @contextlib.contextmanager
    def alone_within(self, timeout_s: float) -> Iterator[bool]:
        """The same for who cannot wait for ever: says whether it is so, or another thread has been alone all that time."""
        is_alone = self._lock.acquire(timeout=timeout_s)
        try:
            yield is_alone
        finally:
            if is_alone:
                self._lock.release()

    def write(self, record_type: type[R], fields: dict[str, Any]) -> R | None:
        """Give the record the next number, and write it behind what is held; None if that ended the record.

        A signal's handler may run after any call, and save a checkpoint for example: its lines then come first.
        """
        if self._file.size_bytes >= self._file.part_bytes:
            self._file.turn()
        while True:
            sequence, held = self._sequence, self._held
            record = record_type(sequence=sequence, time_ns=time.monotonic_ns(), **fields)
            before, link = self._chained(held) if held else (b"", self._link)
            line, link = chained(encode_line(record), link)
            text = before + line
            if sequence == self._sequence:  # from here to the write there is no call after which a handler could run
                self._sequence += 1
                self._link = link
                if held:
                    self._held = []
                try:
                    num_bytes = os.write(self._file.descriptor, text)
                except OSError as error:
                    if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                        raise  # a signal's handler has raised it
                    return record if self._is_written_again(text, error) else None
                if num_bytes < len(text):
                    self._give_up(os.strerror(errno.ENOSPC))
                    return None
                self._file.size_bytes += num_bytes
                return record

    def _chained(self, records: Iterable[AnyRecord]) -> tuple[bytes, str]:
        """The lines that come next, and the link of the last one."""
        lines, link = [], self._link
        for record in records:
            line, link = chained(encode_line(record), link)
            lines.append(line)
        return b"".join(lines), link

    def _is_written_again(self, text: bytes, error: OSError) -> bool:
        """Whether what failed is written now: where the script has closed our descriptor, it is opened again."""
        if error.errno == errno.EBADF:
            try:
                self._file.open_again()
                num_bytes = os.write(self._file.descriptor, text)
                self._file.size_bytes += num_bytes
                if num_bytes == len(text):
                    return True
                error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as now:
                error = now
        self._give_up(error.strerror or str(error))
        return False

    def _give_up(self, why: str) -> None:
        """The disk is full, or its share is gone."""
        self.close()
        say(f"resumable: the record of this rank ends here: {why}")

    def close(self) -> None:
        """Write nothing any more: the last line says how the script ended, whatever its threads do yet."""
        self.is_active = False

    def sync(self) -> None:
        """Return once everything written lies on the disk."""
        os.fsync(self._file.descriptor)


def _end(recorder: Recorder | None) -> None:
    """In a process that was forked, with which it has nothing to do."""
    if recorder is not None:
        recorder.close()
