"""setuptools, and `.src/*.pth` at the root of the wheel, where Python runs it at each start; editable installs too.

A source archive holds what this needs, this file included.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - every other hook is its own

_ROOT = Path(__file__).parents[1]
_SOURCES = _ROOT / ".src"


def build_wheel(wheel_directory: str, *arguments: object, **options: object) -> str:
    """See PEP 517."""
    return _with_path_files(wheel_directory, build_meta.build_wheel(wheel_directory, *arguments, **options))


def build_editable(wheel_directory: str, *arguments: object, **options: object) -> str:
    """See PEP 660."""
    return _with_path_files(wheel_directory, build_meta.build_editable(wheel_directory, *arguments, **options))


def build_sdist(sdist_directory: str, *arguments: object, **options: object) -> str:
    """See PEP 517; packed again with what setuptools takes for no part of the project."""
    name = build_meta.build_sdist(sdist_directory, *arguments, **options)
    file, top = Path(sdist_directory, name), name.removesuffix(".tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
        for added in (Path(__file__), *_SOURCES.glob("*.pth")):
            place = Path(folder, top, added.relative_to(_ROOT))
            place.parent.mkdir(exist_ok=True)
            shutil.copy(added, place)
        with tarfile.open(file, "w:gz") as archive:
            archive.add(Path(folder, top), top)
    return name


def _with_path_files(folder: str, name: str) -> str:
    """Add the files to a wheel, and to the list of what is in it."""
    wheel = Path(folder, name)
    with zipfile.ZipFile(wheel) as archive:
        content = {item: archive.read(item) for item in archive.namelist()}
    record = next(item for item in content if item.endswith(".dist-info/RECORD"))
    for file in sorted(_SOURCES.glob("*.pth")):
        data = file.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        content = {file.name: data, **content}
        content[record] += f"{file.name},sha256={digest},{len(data)}\n".encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for item, data in content.items():
            archive.writestr(item, data)
    return name
