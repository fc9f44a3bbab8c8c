"""Watches checkpoints that are files: those of `torch.save` and of safetensors, their renames, copies and links."""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from resumable.launch.evidence.rank_records import Copy, Rename
from resumable.launch.plan.fault_model import PlannedFault
from resumable.launch.worker.faults.trigger import Trigger
from resumable.launch.worker.patching import Args, Kwargs, Patches
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.strangers import asked
from resumable.launch.worker.watch.saving import Saving, this_writer

_EXCHANGES = (
    "all_gather_object",
    "broadcast_object_list",
    "gather_object",
    "recv_object_list",
    "scatter_object_list",
    "send_object_list",
)
"""By which ranks send one another objects; tensors in them are pickled by `torch.save`."""


class CheckpointWatch:
    """Records what this process writes and reads as a checkpoint, and lets faults happen in mid-write."""

    def __init__(self, recorder: Recorder, trigger: Trigger, saving: Saving) -> None:
        self._recorder = recorder
        self._trigger = trigger
        self._saving = saving
        self._thread = threading.local()

    def install(self, patches: Patches) -> None:
        """Wrap the functions that save and load, and the calls that put a file into place."""
        patches.wrap(torch, "save", self._around_save)
        patches.wrap(torch, "load", self._around_load)
        patches.wrap(os, "replace", self._around_rename)
        patches.wrap(os, "rename", self._around_rename)
        for name in _EXCHANGES if torch.distributed.is_available() else ():
            patches.wrap(torch.distributed, name, self._around_exchange)
        for module, name in ((shutil, "copyfile"), (shutil, "copytree"), (os, "link")):
            patches.wrap(module, name, self._around_copy)
        patches.wrap(os, "symlink", self._around_symlink)
        patches.when_imported("safetensors.torch", partial(self._install_safetensors, patches))

    def _install_safetensors(self, patches: Patches, module: ModuleType) -> None:
        patches.wrap(module, "save_file", partial(self._around_save_file, module.save))
        patches.wrap(module, "load_file", self._around_load)

    def _around_save(self, original: Callable[..., None], _instance: None, args: Args, kwargs: Kwargs) -> None:
        def save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
            with self._saving.save(path_of(f), obj) as fault:
                if fault is None:
                    original(obj, f, *args, **kwargs)
                else:
                    buffer = io.BytesIO()
                    original(obj, buffer, *args, **kwargs)
                    self._write_with_fault(buffer.getvalue(), f, fault)

        save(*args, **kwargs)

    def _around_save_file(
        self,
        serialize: Callable[..., bytes],
        original: Callable[..., None],
        _instance: None,
        args: Args,
        kwargs: Kwargs,
    ) -> None:
        def save_file(tensors: Any, filename: Any, *args: Any, **kwargs: Any) -> None:
            with self._saving.save(path_of(filename), tensors) as fault:
                if fault is None:
                    original(tensors, filename, *args, **kwargs)
                else:
                    self._write_with_fault(serialize(tensors, *args, **kwargs), filename, fault)

        save_file(*args, **kwargs)

    def _write_with_fault(self, data: bytes, target: Any, fault: PlannedFault) -> None:
        """Write half of the bytes, let the fault happen, and write the rest if this process goes on."""
        if not hasattr(target, "write"):
            with Path(target).open("wb") as file:
                self._write_with_fault(data, file, fault)
            return
        half = len(data) // 2
        target.write(data[:half])
        target.flush()
        self._trigger.fire_during_save(fault, path_of(target))
        target.write(data[half:])

    def _around_load(self, original: Callable[..., Any], _instance: None, args: Args, kwargs: Kwargs) -> Any:
        source = args[0] if args else kwargs.get("f", kwargs.get("filename"))
        with self._saving.load(path_of(source)) as read:
            read.append(original(*args, **kwargs))
            return read[0]

    def _around_rename(self, original: Callable[..., None], _instance: None, args: Args, kwargs: Kwargs) -> None:
        original(*args, **kwargs)
        if not self._saving.is_saving:
            source, target = map(path_of, source_and_target(args, kwargs))
            self._saving.put(source, target)
            self._recorder.emit(Rename, source=source, target=target, writer=this_writer())

    def _around_exchange(self, original: Callable[..., Any], _instance: None, args: Args, kwargs: Kwargs) -> Any:
        with self._saving.exchange():
            return original(*args, **kwargs)

    def _around_copy(self, original: Callable[..., Any], _instance: None, args: Args, kwargs: Kwargs) -> Any:
        """What is copied within a folder that is being copied needs no line of its own."""
        is_part = getattr(self._thread, "is_copying", False)
        self._thread.is_copying = True
        try:
            result = original(*args, **kwargs)
        finally:
            self._thread.is_copying = is_part
        if not is_part:
            self._note_copy(*map(path_of, source_and_target(args, kwargs)))
        return result

    def _around_symlink(self, original: Callable[..., None], _instance: None, args: Args, kwargs: Kwargs) -> None:
        """Where it leads to is seen from where it lies."""
        original(*args, **kwargs)
        source, target = source_and_target(args, kwargs)
        link = path_of(target)
        self._note_copy(path_of(os.path.join(os.path.dirname(link), os.fsdecode(source))), link)  # noqa: PTH118, PTH120

    def _note_copy(self, source: str, target: str) -> None:
        if not self._saving.is_saving and self._saving.put(source, target):
            self._recorder.emit(Copy, source=source, target=target)


def source_and_target(args: Args, kwargs: Kwargs) -> tuple[Any, Any]:
    """Of a call that renames, copies or links, as they were given."""
    source, target, *_ = (*args, *(kwargs[name] for name in ("src", "dst") if name in kwargs))
    return source, target


def path_of(file: Any) -> str:
    """Absolute path of what is written or read: a path, or a file object that has a name; "" for a buffer."""
    return asked(partial(_path_of, file), "")


def _path_of(file: Any) -> str:
    name = getattr(file, "name", "") if hasattr(file, "read") or hasattr(file, "write") else file
    if isinstance(name, str | bytes | os.PathLike) and name:
        return os.path.abspath(os.fsdecode(name))  # noqa: PTH100 - Path.resolve would follow links
    return ""
