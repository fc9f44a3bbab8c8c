"""Watches files and folders that the job itself removes: a checkpoint may be among them."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resumable.launch.evidence.rank_records import Remove
from resumable.launch.worker.patching import Args, Kwargs, Patches
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watch.checkpoints import path_of
from resumable.launch.worker.watch.job_folder import JobFolder


class RemovalWatch:
    """Records what is removed below the directory in which the job begins, but for temporary files that lie below it too."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._folder = JobFolder()
        self._thread = threading.local()

    def install(self, patches: Patches) -> None:
        """Wrap the calls that remove a file or a whole folder."""
        for module, name in ((os, "remove"), (os, "unlink"), (os, "rmdir"), (shutil, "rmtree")):
            patches.wrap(module, name, self._around_removal)

    def _around_removal(self, original: Callable[..., None], _instance: None, args: Args, kwargs: Kwargs) -> None:
        """What is removed within a folder that is being removed needs no line of its own."""
        is_part = getattr(self._thread, "is_removing", False)
        target: Any = args[0] if args else kwargs.get("path")
        path = "" if is_part or kwargs.get("dir_fd") is not None else path_of(target)
        is_ours = bool(path) and self._folder.has(Path(path)) and os.path.lexists(path)
        self._thread.is_removing = True
        try:
            original(*args, **kwargs)
        finally:
            self._thread.is_removing = is_part
        if is_ours and not os.path.lexists(path):
            self._recorder.emit(Remove, path=path)
