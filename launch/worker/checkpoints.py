"""Watches checkpoints: `torch.save`, a rename into place, `torch.load`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch

from launch.records import Load, Rename, Save
from launch.worker.hooks import wrap
from launch.worker.recorder import Recorder


class CheckpointWatch:
    """Tells the recorder what this process writes and reads as a checkpoint."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def install(self) -> None:
        """Wrap torch's save and load, and the two system calls that put a file into place."""
        wrap(torch, "save", self._around_save)
        wrap(torch, "load", self._around_load)
        wrap(os, "replace", self._around_rename)
        wrap(os, "rename", self._around_rename)

    def _around_save(self, original: Callable[..., None]) -> Callable[..., None]:
        def save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
            path = path_of(f)
            self._recorder.emit(Save, path=path, phase="begin")
            original(obj, f, *args, **kwargs)
            self._recorder.emit(Save, path=path, phase="end")

        return save

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


def path_of(file: Any) -> str:
    """Absolute path of what is written or read: a path, or a file object that has a name; "" for a buffer."""
    name = getattr(file, "name", "") if hasattr(file, "read") or hasattr(file, "write") else file
    if isinstance(name, str | bytes | os.PathLike) and name:
        return os.path.abspath(os.fsdecode(name))  # noqa: PTH100 - Path.resolve would follow links
    return ""
