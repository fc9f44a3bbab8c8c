"""Watches files and folders that the job itself removes: a checkpoint may be among them.

What has another name by then (`os.link`) was only renamed: some put a checkpoint into place that way.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resumable.launch.evidence.rank_records import Remove, Rename
from resumable.launch.worker.patching import Args, Kwargs, Patches
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watch.checkpoints import path_of, source_and_target
from resumable.launch.worker.watch.job_folder import JobFolder
from resumable.launch.worker.watch.saving import this_writer


class RemovalWatch:
    """Records what is removed below the directory in which the job begins, but for temporary files that lie below it too."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._folder = JobFolder()
        self._thread = threading.local()
        self._links: dict[str, str] = {}
        """The name that a file was given last, by that which it had."""

    def install(self, patches: Patches) -> None:
        """Wrap the calls that remove a file or a whole folder."""
        for module, name in ((os, "remove"), (os, "unlink"), (os, "rmdir"), (shutil, "rmtree")):
            patches.wrap(module, name, self._around_removal)
        patches.wrap(os, "link", self._around_link)

    def _around_link(self, original: Callable[..., None], _instance: None, args: Args, kwargs: Kwargs) -> None:
        original(*args, **kwargs)
        source, target = map(path_of, source_and_target(args, kwargs))
        self._links[source] = target

    def _around_removal(self, original: Callable[..., None], _instance: None, args: Args, kwargs: Kwargs) -> None:
        """What is removed within a folder that is being removed needs no line of its own."""
        is_part = getattr(self._thread, "is_removing", False)
        target: Any = args[0] if args else kwargs.get("path")
        path = "" if is_part or kwargs.get("dir_fd") is not None else path_of(target)
        is_ours = bool(path) and self._folder.has(Path(path)) and os.path.lexists(path)
        self._thread.is_removing = True
        lives_on = is_ours and self._lives_on(path)
        try:
            original(*args, **kwargs)
        finally:
            self._thread.is_removing = is_part
        if lives_on:
            self._recorder.emit(Rename, source=path, target=self._links.pop(path), writer=this_writer())
        elif is_ours and not os.path.lexists(path):
            self._recorder.emit(Remove, path=path)

    def _lives_on(self, path: str) -> bool:
        """Whether the file is still there under the name that it was given last."""
        with contextlib.suppress(OSError):
            return path in self._links and Path(path).samefile(self._links[path])
        return False
