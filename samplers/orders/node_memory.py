"""Arrays that the processes of a node share: made by the first that needs one, and mapped by all of them."""

import fcntl
import mmap
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import util
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

MEMORY = Path("/dev/shm")
_MIN_TIMES_FREE = 4
"""An array takes at most this part of what is free: loaders and NCCL live there too."""
_MAX_WAIT_S = 60.0
_POLL_S = 0.01


def shared_on_node(
    name: str, num_elements: int, dtype: DTypeLike, make: Callable[[], NDArray[np.integer]], *, memory: Path = MEMORY
) -> NDArray[np.integer]:
    """Return what `make` returns, in memory that is shared with whoever else asks for this name on this node.

    A file has its name only once it is whole. Whoever maps it holds a lock on it, which the kernel takes back however a
    process ends; the last one that lets go unlinks it. After SIGKILL it stays, to be used again, or unlinked by whoever
    makes the next one. Where anything stands in the way (no such memory, too little of it, a folder of somebody else's,
    a process that does not get done), the caller gets an array of its own.

    Args:
        name: What the content follows from, as the name of a file.
        num_elements: Length of the array, 1 or more.
        dtype: Type of its elements.
        make: Returns the array, always the same one for a name.
        memory: Folder of the file system to share in.

    Returns:
        Array of shape `(num_elements,)`, not to be written to.
    """
    made: list[NDArray[np.integer]] = []
    try:
        with _locked(_own_folder(memory)) as folder:
            found = _mapped(folder / name, num_elements, dtype)
            if found is None:
                _unlink_unused(folder)
                made.append(make())
                _write(folder / name, made[0])
                found = _mapped(folder / name, num_elements, dtype)
    except OSError:
        found = None
    if found is not None:
        return found
    return made[0] if made else make()


def _own_folder(memory: Path) -> Path:
    folder = memory / f"resumable-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's alone")
    return folder


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + _MAX_WAIT_S
        while not _lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{folder} is locked")
            time.sleep(_POLL_S)
        yield folder
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _mapped(path: Path, num_elements: int, dtype: DTypeLike) -> NDArray[np.integer] | None:
    """Return a file's content, locked until it is let go; None where there is no whole one."""
    if not path.exists() or path.stat().st_size != num_elements * np.dtype(dtype).itemsize:
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        array: NDArray[np.integer] = np.frombuffer(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ), dtype=dtype)
    except BaseException:
        os.close(descriptor)
        raise
    # Called in this process alone, when the array goes or when the process ends, one of multiprocessing's too.
    util.Finalize(array, _let_go, (descriptor, path), exitpriority=0)
    return array


def _let_go(descriptor: int, path: Path) -> None:
    _unlink_if_unused(descriptor, path)
    os.close(descriptor)


def _unlink_unused(folder: Path) -> None:
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            _unlink_if_unused(descriptor, path)
        finally:
            os.close(descriptor)


def _unlink_if_unused(descriptor: int, path: Path) -> None:
    if _lock(descriptor, fcntl.LOCK_EX):
        path.unlink(missing_ok=True)


def _write(path: Path, array: NDArray[np.integer]) -> None:
    free = os.statvfs(path.parent)
    if free.f_bavail * free.f_frsize < _MIN_TIMES_FREE * array.nbytes:
        raise OSError(f"{path.parent} has little room")
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(array.data)
    new.replace(path)
