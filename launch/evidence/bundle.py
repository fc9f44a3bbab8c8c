"""A run directory as one file, to send and to check elsewhere: a zip of its evidence and logs.

Left out are working directories (checkpoints and data), pickles, and whatever is no file of its own: a link could lead
anywhere. Reading one trusts nothing in it: names that leave the folder, links, and more than there is room for are refused.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

from resumable.launch.errors import EvidenceError, LaunchError
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.system.safe_io import regular_file

FOLDER = "run"
"""Everything in a bundle lies in it."""
MAX_LOG_BYTES = 1 << 20
"""Of one log; of a longer one the end is kept."""
MAX_TOTAL_BYTES = 4 << 30
"""Of all files of a bundle, unpacked."""
MAX_FILES = 500_000
_MAX_DEPTH = 8
_LOGS = (".out", ".err", ".log", ".stacks")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Of every file, so that equal evidence makes equal bundles."""


def bundle(
    run_dir: RunDir, target: IO[bytes], extra: Mapping[str, bytes], *, max_total_bytes: int = MAX_TOTAL_BYTES
) -> None:
    """Write the bundle of a run directory, of which no more than a piece is in memory at a time.

    Args:
        run_dir: Of any command.
        target: A file that is open.
        extra: Further files, by their names in it: the report, for example.
        max_total_bytes: Of all files together, unpacked.

    Raises:
        LaunchError: there is more, or a file cannot be read.
    """
    room = max_total_bytes
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, opened_source in _contents(run_dir.root, extra):
            entry = zipfile.ZipInfo(f"{FOLDER}/{name}", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            try:
                with opened_source as source, archive.open(entry, "w", force_zip64=True) as file:
                    room = _copy(source, file, name, room)
            except ValueError as error:
                what = f"more than {max_total_bytes >> 20} MiB of evidence, too much to bundle"
                raise LaunchError(f"{run_dir.root}: {what}") from error
            except OSError as error:
                raise LaunchError(f"{run_dir.root / name}: cannot be bundled ({error.strerror})") from error


def _contents(root: Path, extra: Mapping[str, bytes]) -> Iterator[tuple[str, AbstractContextManager[IO[bytes]]]]:
    for name in _names(root, PurePosixPath()):
        if str(name) in extra:
            continue
        yield str(name), regular_file(root / name, end_bytes=MAX_LOG_BYTES if name.suffix in _LOGS else None)
    for added, content in sorted(extra.items()):
        yield added, BytesIO(content)


def _names(folder: Path, inside: PurePosixPath) -> Iterator[PurePosixPath]:
    """Files below a folder, sorted; no link is followed, and nothing is waited for."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = inside / entry.name
        if _is_left_out(name) or len(name.parts) > _MAX_DEPTH:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _names(folder / entry.name, name)
        elif entry.is_file(follow_symlinks=False):
            yield name


def _is_left_out(name: PurePosixPath) -> bool:
    """The working directory of a scenario, pickles, drafts, the lock of a sweep; and names that nobody of ours gives."""
    is_ours = name.name.isprintable() and "\\" not in name.name and not name.name.startswith(".")
    return not is_ours or name.suffix == ".pkl" or name.parts[1:] == ("work",) or name.parts == ("lock",)


@contextlib.contextmanager
def opened(path: Path, *, max_total_bytes: int = MAX_TOTAL_BYTES) -> Iterator[RunDir]:
    """A run directory, or a bundle unpacked into a folder of its own until it is left.

    Args:
        path: A folder, or a file.
        max_total_bytes: Of what a bundle holds, unpacked.

    Raises:
        EvidenceError: A file that is no bundle, or one that tries to leave the folder or is too large.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - `Path.is_file` raises for a name that is too long
        yield RunDir(root=path)
        return
    with tempfile.TemporaryDirectory(prefix="resumable-bundle-") as folder:
        try:
            _unpack(path, Path(folder), max_total_bytes)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError) as error:
            # a wrong checksum, damaged data, a password; and names that a file system cannot have
            raise EvidenceError(f"{path}: neither a run directory nor a bundle of one ({error})") from error
        yield RunDir(root=Path(folder) / FOLDER, source=path)


def _unpack(path: Path, folder: Path, room: int) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_FILES:
            raise ValueError(f"{len(entries)} files, expected at most {MAX_FILES}")
        for entry in entries:
            target = folder / _checked(entry)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, target.open("xb") as file:
                room = _copy(source, file, entry.filename, room)


def _checked(entry: zipfile.ZipInfo) -> Path:
    """Where an entry belongs, if it is a file within the folder."""
    name, mode = PurePosixPath(entry.filename), entry.external_attr >> 16
    is_below = name.parts[:1] == (FOLDER,) and 1 < len(name.parts) <= _MAX_DEPTH + 1 and ".." not in name.parts
    if not is_below or not entry.filename.isprintable() or "\\" in entry.filename:
        raise ValueError(f"{entry.filename[:80]!r} does not lie in {FOLDER}/")
    if entry.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        raise ValueError(f"{entry.filename[:80]!r} is no file")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename[:80]!r} is compressed by method {entry.compress_type}")
    return Path(*name.parts)


def _copy(source: IO[bytes], file: IO[bytes], name: str, room: int) -> int:
    """Copies as much as there is, and returns what room is left: what an entry says of its size is not believed."""
    while chunk := source.read(1 << 16):
        room -= len(chunk)
        if room < 0:
            raise ValueError(f"{name[:80]!r} is longer than there is room for")
        file.write(chunk)
    return room
