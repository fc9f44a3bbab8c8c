"""Watches files that a job writes by `pickle.dump`, `json.dump` or NumPy: histories, best values, arrays, whole states."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from resumable.launch.evidence.rank_records import Dump
from resumable.launch.worker.fingerprint.content import Content, content_of
from resumable.launch.worker.fingerprint.states import has_more_leaves
from resumable.launch.worker.patching import Args, Kwargs, Patches
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watch.checkpoints import path_of
from resumable.launch.worker.watch.job_folder import JobFolder
from resumable.launch.worker.watch.saving import Saving, this_writer

_MOST_LEAVES = 4096
"""What has more is data, and would take long."""
Splitter = Callable[..., tuple[Any, Any]]
"""Of the arguments of a call: the file, and what goes into it."""


class DumpWatch:
    """Records such files of the job, unless they are part of a checkpoint.

    Args:
        recorder: Gets the lines.
        saving: Knows whether a checkpoint is being written.
    """

    def __init__(self, recorder: Recorder, saving: Saving) -> None:
        self._recorder = recorder
        self._saving = saving
        self._folder = JobFolder()

    def install(self, patches: Patches) -> None:
        """Wrap the functions that write."""
        patches.wrap(pickle, "dump", self._around(lambda obj, file, *_, **__: (file, obj)))
        patches.wrap(json, "dump", self._around(lambda obj, fp, *_, **__: (fp, obj)))
        patches.wrap(np, "save", self._around(lambda file, arr, *_, **__: (_named(file, ".npy"), arr)))
        for name in ("savez", "savez_compressed"):
            patches.wrap(
                np, name, self._around(lambda file, *args, **kwds: (_named(file, ".npz"), _arrays(args, kwds)))
            )

    def _around(self, split: Splitter) -> Callable[..., None]:
        def write(original: Callable[..., None], _instance: None, args: Args, kwargs: Kwargs) -> None:
            file, content = split(*args, **kwargs)
            path = path_of(file)
            if not self._recorder.is_active or self._saving.is_saving or not (path and self._folder.has(Path(path))):
                return original(*args, **kwargs)
            found = Content({}, {}, {}) if has_more_leaves(content, _MOST_LEAVES) else content_of(content)
            with self._saving.part_of_save():
                self._recorder.emit(
                    Dump,
                    path=path,
                    phase="begin",
                    content=found.numbers,
                    writer=this_writer(),
                    figures=found.figures,
                )
                original(*args, **kwargs)
                self._recorder.emit(Dump, path=path, phase="end")
            return None

        return write


def _named(file: Any, ending: str) -> Any:
    """NumPy gives a path the ending that it lacks."""
    if isinstance(file, str | Path):
        return file if str(file).endswith(ending) else f"{file}{ending}"
    return file


def _arrays(args: tuple[Any, ...], kwds: dict[str, Any]) -> dict[str, Any]:
    return {**{f"arr_{number}": one for number, one in enumerate(args)}, **kwds}
