"""Is the run directory a place where evidence and checkpoints survive?"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from resumable.launch.doctor.finding import Finding, fail, ok, unknown, warn
from resumable.launch.doctor.probe import Subject

MIB = 1 << 20
LEAST_FREE_MIB = 100
LITTLE_FREE_MIB = 1024
SLOW_MIB_PER_S = 20.0

_WRITTEN_MIB = 16
_CONSEQUENCES = {
    "tmpfs": "is memory: evidence and checkpoints are gone after a reboot",
    "ramfs": "is memory: evidence and checkpoints are gone after a reboot",
    "overlay": "belongs to the container: evidence and checkpoints are gone with it",
    "nfs": "is shared: appends of two hosts to one file can be torn, and a rename may show late",
    "nfs4": "is shared: appends of two hosts to one file can be torn, and a rename may show late",
    "cifs": "is shared: a rename over an existing file may fail",
    "smb3": "is shared: a rename over an existing file may fail",
    "9p": "is passed through to a virtual machine: fsync may not reach the disk",
    "fuse.sshfs": "is remote: fsync does not reach the disk there",
}


def space(subject: Subject) -> Finding:
    """Is there room?"""
    return judge_space(free_mib=shutil.disk_usage(_existing(subject.run_dir)).free // MIB)


def judge_space(*, free_mib: int) -> Finding:
    """Decide from the free space of the run directory's file system."""
    measured = f"{free_mib} MiB free where runs are kept"
    fix = "delete old runs, or choose a different place with --run-dir"
    if free_mib < LEAST_FREE_MIB:
        return fail("disk space", f"{measured}: a checkpoint that does not fit is torn", fix)
    if free_mib < LITTLE_FREE_MIB:
        return warn("disk space", f"{measured}: enough for evidence, little for checkpoints", fix)
    return ok("disk space", measured)


def file_system(subject: Subject) -> Finding:
    """What kind is it, and does it replace and append atomically?"""
    folder = _existing(subject.run_dir)
    kind = _kind_of(folder)
    try:
        with _trial_folder(folder) as trial:
            return judge_file_system(kind=kind, replaces=_replaces(trial), appends=_appends(trial))
    except OSError as error:
        return judge_file_system(kind=kind, error=f"{folder}: {error.strerror}")


def judge_file_system(*, kind: str, replaces: bool = False, appends: bool = False, error: str | None = None) -> Finding:
    """Decide from the kind and from what a trial showed.

    Args:
        kind: As the mount table names it.
        replaces: A rename replaced an existing file.
        appends: The lines that two writers appended were all kept.
        error: Why nothing could be written; None if it could.
    """
    local = "use a mounted local disk (--run-dir)"
    if error is not None:
        return fail("file system", f"{kind} cannot be written ({error}): there will be no evidence", local)
    if not (replaces and appends):
        what = "does not replace a file by rename" if not replaces else "loses lines that two writers append"
        return fail("file system", f"{kind} {what}: checkpoints or evidence can be lost", local)
    if kind in _CONSEQUENCES:
        return warn("file system", f"{kind} {_CONSEQUENCES[kind]}", local)
    return ok("file system", f"{kind}; a rename replaces, appends are kept")


def write_speed(subject: Subject) -> Finding:
    """How fast does what was written reach the disk?"""
    block = os.urandom(MIB)
    try:
        with _trial_folder(_existing(subject.run_dir)) as trial, (trial / "written").open("wb") as file:
            begin = time.monotonic()
            for _ in range(_WRITTEN_MIB):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            time_s = time.monotonic() - begin
    except OSError as error:
        return unknown("write speed", f"{_WRITTEN_MIB} MiB cannot be written: {error.strerror}")
    return judge_write_speed(written_mib=_WRITTEN_MIB, time_s=time_s)


def judge_write_speed(*, written_mib: int, time_s: float) -> Finding:
    """Decide from the time of one write with fsync."""
    speed = written_mib / max(time_s, 1e-9)
    measured = f"{speed:.0f} MiB/s with fsync"
    if speed < SLOW_MIB_PER_S:
        meaning = f"{measured}: a checkpoint takes long, so a kill often tears it"
        return warn("write speed", meaning, "write to a local disk, to a new name, and rename when it is done")
    return ok("write speed", measured)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())


@contextmanager
def _trial_folder(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".resumable-doctor-", dir=folder) as trial:
        yield Path(trial)


def _kind_of(folder: Path) -> str:
    """File system of the mount that is nearest above."""
    mounts = {Path(partition.mountpoint): partition.fstype for partition in psutil.disk_partitions(all=True)}
    return next((mounts[path] for path in (folder.resolve(), *folder.resolve().parents) if path in mounts), "unknown")


def _replaces(trial: Path) -> bool:
    (trial / "old").write_bytes(b"old")
    (trial / "new").write_bytes(b"new")
    (trial / "new").replace(trial / "old")
    return (trial / "old").read_bytes() == b"new"


def _appends(trial: Path) -> bool:
    """Whether two descriptors that append to one file keep each other's lines."""
    with (trial / "lines").open("ab", buffering=0) as one, (trial / "lines").open("ab", buffering=0) as other:
        for number in range(20):
            (one, other)[number % 2].write(b"%d\n" % number)
    return (trial / "lines").read_bytes() == b"".join(b"%d\n" % number for number in range(20))
