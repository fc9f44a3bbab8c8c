"""setuptools, and `.src/*.pth` at the root of the wheel, where Python runs it at each start; editable installs too."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - every other hook is its own

_SOURCES = Path(__file__).parents[1] / ".src"


def build_wheel(wheel_directory: str, *arguments: object, **options: object) -> str:
    """See PEP 517."""
    return _with_path_files(wheel_directory, build_meta.build_wheel(wheel_directory, *arguments, **options))


def build_editable(wheel_directory: str, *arguments: object, **options: object) -> str:
    """See PEP 660."""
    return _with_path_files(wheel_directory, build_meta.build_editable(wheel_directory, *arguments, **options))


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
