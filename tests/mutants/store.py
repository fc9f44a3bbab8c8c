"""Where the job keeps its checkpoints: a store that survives what disks and kills do to it, and careless ones."""

from __future__ import annotations

import os
import re
import sys
import zlib
from pathlib import Path
from typing import Any

import torch

State = dict[str, Any]
_NAME = re.compile(r"step-(\d{4})\.(\d+)\.pt")


class Store:
    """One file for each save, named after its step and its checksum: no bug planted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, state: State) -> None:
        """Write beside the name, then rename; what cannot be written leaves the older ones as they are."""
        self.folder.mkdir(exist_ok=True)
        temporary = self.folder / "unfinished"
        try:
            torch.save(state, temporary)
        except OSError as error:
            print(f"going on without a checkpoint: {error}", file=sys.stderr)
            temporary.unlink(missing_ok=True)
        else:
            temporary.replace(self.folder / f"step-{state['step']:04}.{zlib.crc32(temporary.read_bytes())}.pt")

    def load(self) -> State | None:
        """The newest one that is whole; None where there is none."""
        newest = next((path for path in self.newest_first() if is_whole(path)), None)
        return torch.load(newest, weights_only=True) if newest else None

    def newest_first(self) -> list[Path]:
        return sorted((path for path in self.folder.glob("step-*.pt")), reverse=True)


class NewestBlindly(Store):
    """The newest file is taken for a whole one."""

    def load(self) -> State | None:
        newest = next(iter(self.newest_first()), None)
        return torch.load(newest, weights_only=True) if newest else None


class Overwriting(Store):
    """There is one file, and every save goes right over it."""

    @property
    def file(self) -> Path:
        return self.folder / "latest.pt"

    def save(self, state: State) -> None:
        self.folder.mkdir(exist_ok=True)
        torch.save(state, self.file)

    def load(self) -> State | None:
        return torch.load(self.file, weights_only=True) if self.file.exists() else None


class OverwritingAndBeginningAnew(Overwriting):
    """One file, and one that cannot be read is taken for none."""

    def load(self) -> State | None:
        try:
            return super().load()
        except Exception as error:  # as careless as the jobs that it stands for
            print(f"beginning anew: {error}", file=sys.stderr)
            return None


class OverwritingInSilence(Overwriting):
    """One file, and a save that failed is none of its concern."""

    def save(self, state: State) -> None:
        try:
            super().save(state)
        except OSError as error:
            print(f"ignored: {error}", file=sys.stderr)


class OnOwnDisk(Store):
    """Every node has a disk of its own, which is empty on the node that takes the place of a lost one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / os.environ["RESUMABLE_NODE"])

    def save(self, state: State) -> None:
        self.folder.parent.mkdir(exist_ok=True)
        super().save(state)


class ListedByEach(Store):
    """Every node looks for the newest file by itself, and all but the first see a listing that is a moment old."""

    def newest_first(self) -> list[Path]:
        return super().newest_first()[os.environ["GROUP_RANK"] != "0" :]


def is_whole(path: Path) -> bool:
    """Whether a file still has the checksum in its name."""
    match = _NAME.fullmatch(path.name)
    return match is not None and int(match[2]) == zlib.crc32(path.read_bytes())
