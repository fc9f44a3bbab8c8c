"""Descriptors of files that a script knows nothing of: a daemon's first act is to close all that it did not open itself."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

_FLOOR, _HIGHEST_FLOOR = 1 << 12, 1 << 16
"""Scripts close the first 1,024, or as many as the soft limit allows; numbers above both are given to nobody else. The
kernel's table of a process is as long as its highest number."""
_ROOM = 1 << 10
_NO_ROOM = (errno.EMFILE, errno.EINVAL)
"""With a hard limit that is lower, or reached."""


def out_of_the_way(descriptor: int) -> int:
    """Another descriptor of the same file, with a high number, which no program inherits; the one that was given is closed.

    Where the hard limit leaves no room it is the same one.
    """
    try:
        high = _high_copy(descriptor)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise  # a signal's handler has raised it
        return descriptor
    os.close(descriptor)
    return high


@contextlib.contextmanager
def put_back(descriptors: Sequence[int]) -> Iterator[None]:
    """Afterwards these descriptors are of the files that they are of now, whatever is done to them meanwhile."""
    copies = []
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # there is no room
            copies.append((descriptor, _high_copy(descriptor), os.get_inheritable(descriptor)))
    try:
        yield
    finally:
        for descriptor, copy, is_inheritable in copies:
            with contextlib.suppress(OSError):  # the copy was closed, too
                if not _is_same_file(descriptor, copy):
                    os.dup2(copy, descriptor, inheritable=is_inheritable)


def open_descriptors() -> list[int]:
    """All of this process."""
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - one of them is of this very list
    return [number for number in numbers if Path(f"/proc/self/fd/{number}").exists()]


def close_all_but(kept: Collection[int]) -> None:
    """Close all of this process but these and the standard streams."""
    for number in open_descriptors():
        if number > 2 and number not in kept:
            with contextlib.suppress(OSError):
                os.close(number)


def renumber(descriptors: Sequence[int], numbers: Sequence[int]) -> None:
    """Give descriptors these numbers; what had one of them is closed."""
    above = max((2, *descriptors, *numbers)) + 1
    for descriptor, number in zip(
        [fcntl.fcntl(old, fcntl.F_DUPFD_CLOEXEC, above) for old in descriptors], numbers, strict=True
    ):
        os.dup2(descriptor, number, inheritable=False)
        os.close(descriptor)


def _is_same_file(one: int, two: int) -> bool:
    try:
        return os.path.sameopenfile(one, two)
    except OSError:
        return False


def _high_copy(descriptor: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard >= 0 else _HIGHEST_FLOOR + _ROOM
    floor = soft if _FLOOR < soft <= _HIGHEST_FLOOR else _FLOOR
    if floor + _ROOM > most:
        floor = min(_FLOOR, most // 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, floor + _ROOM)), hard))
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, floor)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
