"""The folder from which docker builds a node's image, written by whoever has this project installed."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from resumable.launch.errors import LaunchError, UsageError

_PACKAGE = Path(__file__).parents[2]
"""The folder of the package `resumable`."""
_FILES = ("Dockerfile", "compose.yaml")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.png")
_OF_THE_BUILT_IN_JOB = "scikit-learn"


def write_image_folder(folder: Path) -> None:
    """Write Dockerfile, compose file, pinned requirements, and a copy of this package.

    Nodes speak with the command that starts them, and have to be of its very version.

    Raises:
        UsageError: the folder holds something.
        LaunchError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder}: holds something already; name a new folder")
        for name in _FILES:
            shutil.copyfile(Path(__file__).parent / name, folder / name)
        (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements()))
        shutil.copytree(_PACKAGE, folder / "package" / _PACKAGE.name, ignore=_LEFT_OUT)
        _write_metadata(folder / "package")
    except OSError as error:
        raise LaunchError(f"{folder}: cannot be written ({error.strerror})") from error


def requirements() -> Iterator[str]:
    """What the package needs, and the data of the built-in job where they are here, each as `name==version` as installed."""
    needed = [text for text in distribution("resumable").requires or () if "extra ==" not in text]
    for text in [*needed, _OF_THE_BUILT_IN_JOB]:
        name = re.split(r"[^\w.-]", text, maxsplit=1)[0]
        with contextlib.suppress(PackageNotFoundError):
            yield f"{name}=={version(name).partition('+')[0]}"


def _write_metadata(folder: Path) -> None:
    """As much as `importlib.metadata` needs to tell the version."""
    number = version("resumable")
    info = folder / f"resumable-{number}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: resumable\nVersion: {number}\n")
