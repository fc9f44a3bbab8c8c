"""A folder of checkpoints that a killed writer cannot spoil.

A checkpoint is one header line, `resumable-checkpoint/1 <length in bytes> <sha256>`, followed by what `torch.save` made
of the state. It is written beside its final name, synced, and renamed: a reader sees all of it or nothing. The header
still matters, because a disk can lose what it had promised, and because people copy files.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

_FORMAT = b"resumable-checkpoint/1"
_HEADER = re.compile(_FORMAT + rb" (?P<length>\d+) (?P<digest>[0-9a-f]{64})")
_NAME = re.compile(r"step-(\d{8,})\.ckpt")


class CheckpointError(OSError):
    """The folder cannot be used; what was saved in it before is untouched."""


class DamagedCheckpointError(ValueError):
    """The bytes are not those of a whole checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search for the newest whole checkpoint came to."""

    path: Path | None
    """The newest whole one, or None where there is none."""
    skipped: tuple[str, ...]
    """The newer ones that are damaged, newest first: each its path and what is wrong with it."""


def encode(state: Mapping[str, object]) -> bytes:
    """The bytes of a checkpoint: header line and payload."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    payload = buffer.getvalue()
    digest = hashlib.sha256(payload).hexdigest().encode()
    return b"%s %d %s\n%s" % (_FORMAT, len(payload), digest, payload)


def decode(data: bytes) -> dict[str, object]:
    """The state in the bytes of a checkpoint, its tensors on the CPU; nothing in `data` is executed.

    Raises:
        DamagedCheckpointError: `data` is torn, altered, of a different format, or holds more than tensors and plain data.
    """
    header, _, payload = data.partition(b"\n")
    match = _HEADER.fullmatch(header)
    if match is None:
        raise DamagedCheckpointError("it does not begin with the header of a checkpoint")
    length = int(match["length"])
    if len(payload) != length:
        raise DamagedCheckpointError(f"torn: {len(payload)} of {length} bytes are there")
    if hashlib.sha256(payload).hexdigest().encode() != match["digest"]:
        raise DamagedCheckpointError("corrupt: its bytes do not match its checksum")
    try:
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise DamagedCheckpointError("refused: it holds more than tensors and plain data") from error
    if not isinstance(state, dict):
        raise DamagedCheckpointError(f"expected a dict, found {type(state).__name__}")
    return state


@dataclass(frozen=True, kw_only=True)
class CheckpointFolder:
    """The checkpoints of one job, named after their steps. One process writes at a time."""

    path: Path
    keep: int = 3
    """How many to keep, at least 1."""

    def prepare(self) -> None:
        """Make the folder, and remove what writers left that died before their rename.

        Raises:
            CheckpointError: The folder cannot be made or written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for leftover in self.path.glob("step-*.ckpt.tmp"):
                leftover.unlink()
        except OSError as error:
            raise self._unusable(error.strerror) from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise self._unusable("it is read-only")

    def save(self, state: Mapping[str, object], *, step: int) -> Path:
        """Write the checkpoint of `step` and drop the oldest; when this returns, a power cut cannot lose it.

        Raises:
            CheckpointError: The disk is full or the folder read-only. The checkpoints that are there stay.
        """
        path = self.path / f"step-{step:08d}.ckpt"
        temporary = path.with_name(f"{path.name}.tmp")
        try:
            try:
                _write_synced(temporary, encode(state))
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(self.path)
            self._drop_older_than(step)
        except OSError as error:
            raise self._unusable(error.strerror) from error
        return path

    def newest(self) -> Found:
        """The newest checkpoint that is whole."""
        skipped: list[str] = []
        for path in reversed(self._by_step()):
            try:
                self.load(path)
            except (DamagedCheckpointError, OSError) as error:
                skipped.append(f"{path}: {error}")
            else:
                return Found(path=path, skipped=tuple(skipped))
        return Found(path=None, skipped=tuple(skipped))

    def load(self, path: Path) -> dict[str, object]:
        """The state in one checkpoint.

        Raises:
            DamagedCheckpointError: It is not whole.
        """
        return decode(path.read_bytes())

    def _by_step(self) -> list[Path]:
        """All checkpoints, whole or not, oldest first."""
        return sorted((path for path in self.path.iterdir() if _NAME.fullmatch(path.name)), key=_step_of)

    def _drop_older_than(self, step: int) -> None:
        """Drop all but the `keep - 1` latest before `step`.

        Those after `step` do not count: they are damaged, or the job would have resumed from them. Counting them could
        drop the only whole one.
        """
        older = [path for path in self._by_step() if _step_of(path) < step]
        for path in older[::-1][self.keep - 1 :]:
            path.unlink()

    def _unusable(self, reason: str | None) -> CheckpointError:
        return CheckpointError(f"cannot write checkpoints into {str(self.path)!r}: {reason}")


def _step_of(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Make the rename itself durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
