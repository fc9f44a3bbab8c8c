"""Watches checkpoints that are folders with a part of every rank: `torch.distributed.checkpoint`."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from types import ModuleType
from typing import Any

from resumable.launch.plan.fault_model import PlannedFault
from resumable.launch.worker.faults.trigger import Trigger
from resumable.launch.worker.patching import Args, Kwargs, Patches, Wrapper
from resumable.launch.worker.torch_private import LOAD_STATE_DICT, SAVE_STATE_DICT, STATES_OF_OBJECTS, WRITE_FILES
from resumable.launch.worker.watch.checkpoints import path_of
from resumable.launch.worker.watch.saving import BackgroundSave, Saving

_DCP = "torch.distributed.checkpoint"


class DistributedCheckpointWatch:
    """Records each checkpoint once on every rank that takes part, however many files it is made of.

    Objects that give a state are asked for it once, as without us: what is recorded of a save is what is written, and of a
    load what was read, before the objects make of it what they may.

    A save in the background begins when the training loop hands over its state and ends when all is written. No fault can
    happen in the middle of one that another process writes.
    """

    def __init__(self, trigger: Trigger, saving: Saving) -> None:
        self._trigger = trigger
        self._saving = saving
        self._thread = threading.local()

    def install(self, patches: Patches) -> None:
        """Wrap the functions that save and load, as soon as somebody imports them."""
        for part, around in (
            ("state_dict_saver.save", self._around_save),
            ("state_dict_saver.save_state_dict", self._around_save),
            ("state_dict_saver.async_save", self._around_async_save),
            (f"state_dict_saver.{SAVE_STATE_DICT}", self._around_writing),
            ("state_dict_loader.load", self._around_load),
            ("state_dict_loader.load_state_dict", self._around_load),
            (f"state_dict_loader.{LOAD_STATE_DICT}", self._around_reading),
            (f"filesystem.{WRITE_FILES}", self._around_thread),
        ):
            module, _, function = part.partition(".")
            patches.when_imported(f"{_DCP}.{module}", partial(_wrap_function, patches, function, around))

    def _around_save(self, original: Callable[..., Any], _instance: None, args: Args, kwargs: Kwargs) -> Any:
        args, kwargs = self._with_states(args, kwargs)
        with self._saving.save(_path(args, kwargs, "storage_writer"), _state_dict(args, kwargs)) as fault:
            self._thread.fault = fault
            return original(*args, **kwargs)

    def _around_async_save(self, original: Callable[..., Any], _instance: None, args: Args, kwargs: Kwargs) -> Any:
        args, kwargs = self._with_states(args, kwargs)
        save = self._saving.begin_in_background(_path(args, kwargs, "storage_writer"), _state_dict(args, kwargs))
        try:
            answer = original(*args, **kwargs)
        except BaseException:
            self._saving.leave_background(save, is_done=False)
            raise
        written: Future[Any] = getattr(answer, "upload_completion", answer)
        written.add_done_callback(lambda future: self._leave(save, future))
        return answer

    def _with_states(self, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
        """The arguments of a save, with the states of objects in their places."""
        with self._saving.part_of_save():  # which an object may make of its own, in memory
            states = getattr(sys.modules[f"{_DCP}.state_dict_saver"], STATES_OF_OBJECTS)(_state_dict(args, kwargs))
        return ((states, *args[1:]), kwargs) if args else ((), {**kwargs, "state_dict": states})

    def _leave(self, save: BackgroundSave, written: Future[Any]) -> None:
        self._saving.leave_background(save, is_done=not written.cancelled() and written.exception() is None)

    def _around_writing(self, original: Callable[..., Any], _instance: None, args: Args, kwargs: Kwargs) -> Any:
        """Around what `save` calls once it is known who writes: the storage may be one that torch has chosen."""
        fault = getattr(self._thread, "fault", None)
        if fault is None:
            return original(*args, **kwargs)
        storage_writer = _storage(args, kwargs, "storage_writer")
        path = path_of(getattr(storage_writer, "path", ""))
        storage_writer.write_data = self._with_fault(storage_writer.write_data, fault, path)
        try:
            return original(*args, **kwargs)
        finally:
            del storage_writer.write_data

    def _with_fault(self, write_data: Callable[..., Any], fault: PlannedFault, path: str) -> Callable[..., Any]:
        """Write half of what this rank has to, let the fault happen, and write all of it if this process goes on.

        What marks the checkpoint as whole is written last, when all ranks have done their part.
        """

        def write(plan: Any, planner: Any) -> Any:
            half = dataclasses.replace(plan, items=plan.items[: (len(plan.items) + 1) // 2])
            write_data(half, planner).wait()
            self._trigger.fire_during_save(fault, path)
            return write_data(plan, planner)

        return write

    def _around_thread(self, original: Callable[..., None], _instance: None, args: Args, kwargs: Kwargs) -> None:
        """Around what each thread of the storage does."""
        with self._saving.part_of_save():
            original(*args, **kwargs)

    def _around_load(self, original: Callable[..., Any], _instance: None, args: Args, kwargs: Kwargs) -> Any:
        with self._saving.load(_path(args, kwargs, "storage_reader")) as read:
            self._thread.read = read
            try:
                return original(*args, **kwargs)
            finally:
                del self._thread.read

    def _around_reading(self, original: Callable[..., Any], _instance: None, args: Args, kwargs: Kwargs) -> Any:
        answer = original(*args, **kwargs)
        getattr(self._thread, "read", []).append(_state_dict(args, kwargs))  # which it has filled
        return answer


def _wrap_function(patches: Patches, name: str, wrapper: Wrapper, module: ModuleType) -> None:
    """Wrap it in its module and in the package that has taken it over; not every release of torch has all of them."""
    if not hasattr(module, name):
        return
    patches.wrap(module, name, wrapper)
    package = sys.modules[_DCP]
    if hasattr(package, name):
        patches.replace(package, name, getattr(module, name))


def _state_dict(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return args[0] if args else kwargs.get("state_dict")


def _path(args: Sequence[Any], kwargs: Mapping[str, Any], storage: str) -> str:
    """Where a checkpoint goes or comes from; "" where its storage does not say."""
    where = kwargs.get("checkpoint_id") or getattr(_storage(args, kwargs, storage), "path", "")
    return path_of(where) if where else ""


def _storage(args: Sequence[Any], kwargs: Mapping[str, Any], name: str) -> Any:
    """The second argument of every function here that has one."""
    return args[1] if len(args) > 1 else kwargs.get(name)
