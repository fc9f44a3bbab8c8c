"""When a checkpoint begins and ends, and which fault is to happen in the middle of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.rank_records import Load, Save, Writer
from resumable.launch.evidence.written_files import places_of
from resumable.launch.plan.fault_model import PlannedFault
from resumable.launch.worker.faults.trigger import Trigger
from resumable.launch.worker.fingerprint.content import content_of, keys_of
from resumable.launch.worker.fingerprint.known_sums import formed_once
from resumable.launch.worker.recorder import Recorder


@dataclass(frozen=True, eq=False)
class BackgroundSave:
    """A save that the training loop has begun and that a thread or a process carries on."""

    path: str
    fault: PlannedFault | None
    """What is to happen in the middle of it."""


class Saving:
    """The saves and loads of this process.

    What is saved within a save in the same thread is part of it, and so with loads: `torch.distributed.checkpoint` saves
    and loads tensor by tensor.

    Args:
        recorder: Gets the lines.
        trigger: Knows what is to happen in the middle of a save.
        note_state: Called before a save of the training loop's begins, to record what it has at that moment.
        saved_keys: Gives the keys under which earlier processes of this job have saved; asked with the first load. What is
            read and has other keys is none of its checkpoints: data that is read for every batch, for example.
    """

    def __init__(
        self,
        recorder: Recorder,
        trigger: Trigger,
        note_state: Callable[[], None] = lambda: None,
        saved_keys: Callable[[], set[frozenset[str]]] = set,
    ) -> None:
        self._recorder = recorder
        self._trigger = trigger
        self._note_state = note_state
        self._saved_keys = saved_keys
        self._earlier_keys: set[frozenset[str]] | None = None
        self._own_keys: set[frozenset[str]] = set()
        self._thread = threading.local()
        self._background: list[BackgroundSave] = []
        self._places: set[str] = set()
        """What was saved, and folders in which it lies, under all names."""

    def put(self, source: str, target: str) -> bool:
        """Note that what lies in one place is in the other too; False if this process has saved nothing of it."""
        if source not in self._places:
            return False
        parts = [place for place in self._places if place.startswith(f"{source}/")] if Path(target).is_dir() else []
        for path in (target, *(target + part[len(source) :] for part in parts)):
            self._places.update(places_of(path))
        return True

    @property
    def is_saving(self) -> bool:
        """Whether this thread is in a save."""
        return getattr(self._thread, "is_saving", False)

    @property
    def _is_loading(self) -> bool:
        return getattr(self._thread, "is_loading", False)

    @contextlib.contextmanager
    def save(self, path: str, state: Any) -> Iterator[PlannedFault | None]:
        """A save in this thread, which gives the fault that is to happen in the middle of it.

        One that was begun in the background does not begin again.

        Args:
            path: Where it goes.
            state: What is saved.
        """
        if self.is_saving or not self._recorder.is_active:
            yield None
            return
        with self.part_of_save():
            begun = next((save for save in self._background if save.path == path), None)
            if begun is not None:
                self._background.remove(begun)
            yield (begun.fault if begun is not None else self._begin(path, state, this_writer()))
            self._recorder.emit(Save, path=path, phase="end")

    @contextlib.contextmanager
    def part_of_save(self) -> Iterator[None]:
        """What this thread saves meanwhile is part of a save, be it one of another thread."""
        was_saving = self.is_saving
        self._thread.is_saving = True
        try:
            yield
        finally:
            self._thread.is_saving = was_saving

    @contextlib.contextmanager
    def exchange(self) -> Iterator[None]:
        """What this thread saves and loads meanwhile goes to other ranks, and comes from them: it is no checkpoint."""
        with self.part_of_save(), self._part_of_load():
            yield

    @contextlib.contextmanager
    def _part_of_load(self) -> Iterator[None]:
        was_loading = self._is_loading
        self._thread.is_loading = True
        try:
            yield
        finally:
            self._thread.is_loading = was_loading

    @contextlib.contextmanager
    def load(self, path: str) -> Iterator[list[Any]]:
        """A load in this thread, recorded once it is done; what was read is put into the list that it gives."""
        read: list[Any] = []
        if self._is_loading:
            yield read
            return
        with self._part_of_load():
            yield read
        self._recorder.emit(Load, path=path, fingerprints=self._of_read(read))

    def _of_read(self, read: list[Any]) -> dict[str, Fingerprint]:
        if not read or not self._recorder.is_active:
            return {}
        if self._earlier_keys is None:
            self._earlier_keys = self._saved_keys()
        is_checkpoint = keys_of(read[0]) in self._earlier_keys | self._own_keys
        return content_of(read[0]).fingerprints if is_checkpoint else {}

    def begin_in_background(self, path: str, state: Any) -> BackgroundSave:
        """A save of the state as it is now, whoever will write it."""
        save = BackgroundSave(path, self._begin(path, state, "torch"))
        self._background.append(save)
        return save

    def leave_background(self, save: BackgroundSave, *, is_done: bool) -> None:
        """That save is over; if a thread of this process wrote it, that is known already."""
        if save in self._background:
            self._background.remove(save)
            if is_done:
                self._recorder.emit(Save, path=save.path, phase="end")

    def _begin(self, path: str, state: Any, writer: Writer) -> PlannedFault | None:
        with formed_once():
            if writer != "thread":  # the training goes on meanwhile, so that what there is now may not be what it saves
                self._note_state()
            content = content_of(state)
        self._own_keys.add(frozenset(content.fingerprints))
        self._places.update(places_of(path))
        self._recorder.emit(
            Save,
            path=path,
            phase="begin",
            content=content.numbers,
            writer=writer,
            fingerprints=content.fingerprints,
            figures=content.figures,
        )
        return self._trigger.fault_during_save()


def this_writer() -> Writer:
    """Who writes what this thread writes."""
    return "loop" if threading.current_thread() is threading.main_thread() else "thread"
