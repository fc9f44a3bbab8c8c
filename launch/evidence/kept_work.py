"""The working directory of a chain as it was when each of its lives began, so that another chain can go on from there.

A copy, with the times of its files: a link to a file would change with it. A folder that is too large, or holds sockets,
pipes or files with several names, is not copied: then there is nothing to go on from, and a chain begins anew.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

from resumable.launch.evidence.run_dir import ScenarioDir

_MAX_BYTES = 1 << 30
"""Of all copies of one chain, and what it copies now."""


def keep_work(folder: ScenarioDir, life: int) -> None:
    """Copy the working directory, while no rank runs; without a word if it cannot be done.

    Args:
        folder: Of the chain.
        life: The incarnation that is about to begin.
    """
    kept = folder.kept_work(life)
    if life == 0 or _size_bytes(folder.work) + _size_bytes(folder.kept) > _MAX_BYTES:
        return
    draft = kept.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(kept, ignore_errors=True)
    try:
        shutil.copytree(folder.work, draft, symlinks=True)
        draft.rename(kept)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)


def put_back(folder: ScenarioDir, life: int) -> bool:
    """Make the working directory what it was when an incarnation began; False if that is not known.

    Raises:
        OSError: it cannot be written.
    """
    kept = folder.kept_work(life)
    if not kept.is_dir():
        return False
    shutil.rmtree(folder.work)
    kept.rename(folder.work)  # with its owner, who may be another in a container; what begins there keeps it again
    return True


def forget_work(folder: ScenarioDir, *, before: int | None = None) -> None:
    """Remove the copies, or those that were made before an incarnation."""
    if before is None:
        shutil.rmtree(folder.kept, ignore_errors=True)
        return
    for kept in folder.kept.glob("*"):
        if kept.name.isdecimal() and int(kept.name) < before:
            shutil.rmtree(kept, ignore_errors=True)


def _size_bytes(folder: Path) -> float:
    """Bytes in all files of a folder; infinite if it cannot be copied as it is."""
    size_bytes = 0.0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a copy that nobody needs any more goes at any time
                found = os.lstat(Path(parent, name))
                is_plain = stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
                size_bytes += found.st_size if is_plain else float("inf")
    return size_bytes
