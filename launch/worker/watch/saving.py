"""When a checkpoint begins and ends, and which fault is to happen in the middle of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from resumable.launch.evidence.rank_records import Load, Save, Writer
from resumable.launch.plan.fault_model import PlannedFault
from resumable.launch.worker.faults.trigger import Trigger
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
    """

    def __init__(self, recorder: Recorder, trigger: Trigger) -> None:
        self._recorder = recorder
        self._trigger = trigger
        self._thread = threading.local()
        self._background: list[BackgroundSave] = []

    @property
    def is_saving(self) -> bool:
        """Whether this thread is in a save."""
        return getattr(self._thread, "is_saving", False)

    @contextlib.contextmanager
    def save(self, path: str, content: Callable[[], dict[str, str]] = dict) -> Iterator[PlannedFault | None]:
        """A save in this thread, which gives the fault that is to happen in the middle of it.

        One that was begun in the background does not begin again.

        Args:
            path: Where it goes.
            content: Gives the digests of what is saved.
        """
        if self.is_saving or not self._recorder.is_active:
            yield None
            return
        with self.part_of_save():
            begun = next((save for save in self._background if save.path == path), None)
            if begun is not None:
                self._background.remove(begun)
            yield (begun.fault if begun is not None else self._begin(path, content(), _this_writer()))
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
    def load(self, path: str) -> Iterator[None]:
        """A load in this thread; recorded once it is done."""
        if getattr(self._thread, "is_loading", False):
            yield
            return
        self._thread.is_loading = True
        try:
            yield
        finally:
            self._thread.is_loading = False
        self._recorder.emit(Load, path=path)

    def begin_in_background(self, path: str, content: dict[str, str]) -> BackgroundSave:
        """A save of the state as it is now, whoever will write it."""
        save = BackgroundSave(path, self._begin(path, content, "torch"))
        self._background.append(save)
        return save

    def leave_background(self, save: BackgroundSave, *, is_done: bool) -> None:
        """That save is over; if a thread of this process wrote it, that is known already."""
        if save in self._background:
            self._background.remove(save)
            if is_done:
                self._recorder.emit(Save, path=save.path, phase="end")

    def _begin(self, path: str, content: dict[str, str], writer: Writer) -> PlannedFault | None:
        self._recorder.emit(Save, path=path, phase="begin", content=content, writer=writer)
        return self._trigger.fault_during_save()


def _this_writer() -> Writer:
    return "loop" if threading.current_thread() is threading.main_thread() else "thread"
