"""Watches checkpoints that are files: those of `torch.save` and of safetensors, and a rename into place."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from resumable.launch.evidence.rank_records import Rename
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

    def install(self, patches: Patches) -> None:
        """Wrap the functions that save and load, and the two system calls that put a file into place."""
        patches.wrap(torch, "save", self._around_save)
        patches.wrap(torch, "load", self._around_load)
        patches.wrap(os, "replace", self._around_rename)
        patches.wrap(os, "rename", self._around_rename)
        for name in _EXCHANGES if torch.distributed.is_available() else ():
            patches.wrap(torch.distributed, name, self._around_exchange)
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
            source, target = (*args, *(kwargs[name] for name in ("src", "dst") if name in kwargs))[:2]
            self._recorder.emit(Rename, source=path_of(source), target=path_of(target), writer=this_writer())

    def _around_exchange(self, original: Callable[..., Any], _instance: None, args: Args, kwargs: Kwargs) -> Any:
        with self._saving.exchange():
            return original(*args, **kwargs)


def path_of(file: Any) -> str:
    """Absolute path of what is written or read: a path, or a file object that has a name; "" for a buffer."""
    return asked(partial(_path_of, file), "")


def _path_of(file: Any) -> str:
    name = getattr(file, "name", "") if hasattr(file, "read") or hasattr(file, "write") else file
    if isinstance(name, str | bytes | os.PathLike) and name:
        return os.path.abspath(os.fsdecode(name))  # noqa: PTH100 - Path.resolve would follow links
    return ""
