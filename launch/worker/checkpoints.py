"""Watches checkpoints: `torch.save`, `torch.distributed.checkpoint`, a rename into place, `torch.load`."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from launch.faults import Fault
from launch.records import Load, Rename, Save
from launch.worker.hooks import wrap
from launch.worker.imports import when_imported
from launch.worker.recorder import Recorder
from launch.worker.trigger import Trigger

_DCP = "torch.distributed.checkpoint"


class CheckpointWatch:
    """Tells the recorder what this process writes and reads as a checkpoint, and lets faults happen in mid-write.

    What is saved within a save (`torch.distributed.checkpoint` saves tensor by tensor) is part of it.
    """

    def __init__(self, recorder: Recorder, trigger: Trigger) -> None:
        self._recorder = recorder
        self._trigger = trigger
        self._inside = threading.local()

    def install(self) -> None:
        """Wrap torch's save and load, and the two system calls that put a file into place."""
        wrap(torch, "save", self._around_save)
        wrap(torch, "load", self._around_load)
        when_imported(f"{_DCP}.state_dict_saver", self._install_saver)
        when_imported(f"{_DCP}.state_dict_loader", self._install_loader)
        wrap(os, "replace", self._around_rename)
        wrap(os, "rename", self._around_rename)

    def _install_saver(self, module: ModuleType) -> None:
        _wrap_function(module, "save", self._around_distributed_save)

    def _install_loader(self, module: ModuleType) -> None:
        _wrap_function(module, "load", self._around_distributed_load)

    def _around_save(self, original: Callable[..., None]) -> Callable[..., None]:
        def save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
            if not self._recorder.is_active:
                original(obj, f, *args, **kwargs)
                return
            with self._saving(path_of(f)):
                fault = self._trigger.fault_during_save()
                if fault is None:
                    original(obj, f, *args, **kwargs)
                else:
                    buffer = io.BytesIO()
                    original(obj, buffer, *args, **kwargs)
                    self._write_with_fault(buffer.getvalue(), f, fault)

        return save

    def _around_distributed_save(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def save(*args: Any, **kwargs: Any) -> Any:
            with self._saving(_checkpoint_id(kwargs, "storage_writer")):
                return original(*args, **kwargs)

        return save

    def _around_distributed_load(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def load(*args: Any, **kwargs: Any) -> Any:
            loaded = original(*args, **kwargs)
            self._recorder.emit(Load, path=_checkpoint_id(kwargs, "storage_reader"))
            return loaded

        return load

    @contextlib.contextmanager
    def _saving(self, path: str) -> Iterator[None]:
        """A save, unless it is a part of one that this thread is in."""
        if getattr(self._inside, "is_saving", False):
            yield
            return
        self._inside.is_saving = True
        try:
            self._recorder.emit(Save, path=path, phase="begin")
            yield
            self._recorder.emit(Save, path=path, phase="end")
        finally:
            self._inside.is_saving = False

    def _write_with_fault(self, data: bytes, target: Any, fault: Fault) -> None:
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

    def _around_load(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def load(f: Any, *args: Any, **kwargs: Any) -> Any:
            loaded = original(f, *args, **kwargs)
            self._recorder.emit(Load, path=path_of(f))
            return loaded

        return load

    def _around_rename(self, original: Callable[..., None]) -> Callable[..., None]:
        def rename(src: Any, dst: Any, *args: Any, **kwargs: Any) -> None:
            original(src, dst, *args, **kwargs)
            self._recorder.emit(Rename, source=path_of(src), target=path_of(dst))

        return rename


def _wrap_function(module: ModuleType, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Wrap it in its module, and in the package that has taken it over."""
    wrap(module, name, make)
    package = sys.modules[_DCP]
    if hasattr(package, name):
        setattr(package, name, getattr(module, name))


def _checkpoint_id(options: Mapping[str, Any], storage: str) -> str:
    """Where a distributed checkpoint goes or comes from; "" where its storage does not say."""
    where = options.get("checkpoint_id") or getattr(options.get(storage), "path", "")
    return path_of(where) if where else ""


def path_of(file: Any) -> str:
    """Absolute path of what is written or read: a path, or a file object that has a name; "" for a buffer."""
    name = getattr(file, "name", "") if hasattr(file, "read") or hasattr(file, "write") else file
    if isinstance(name, str | bytes | os.PathLike) and name:
        return os.path.abspath(os.fsdecode(name))  # noqa: PTH100 - Path.resolve would follow links
    return ""
