"""Compression by zstandard, where it can be had: with Python 3.14, before it with `backports.zstd`."""

from __future__ import annotations

import errno
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from resumable.launch.system.safe_io import read_from

_MODULES = ("compression.zstd", "backports.zstd")
_LEVEL = 1
"""Evidence is digests for the most part, which no level packs better; the higher ones cost twice the time."""
_CHUNK_BYTES = 1 << 17
MAX_FRAME_BYTES = 1 << 23
"""Of the text that is read out of a frame: a stranger's may stand for any length."""


class _Decompressor(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Library(Protocol):
    ZstdError: type[Exception]

    def compress(self, data: bytes, level: int) -> bytes: ...

    def ZstdDecompressor(self) -> _Decompressor: ...  # noqa: N802 - as the library calls it


@cache
def _library() -> _Library | None:
    for name in _MODULES:
        try:
            return cast("_Library", import_module(name))
        except ImportError:
            continue
    return None


def is_there() -> bool:
    """Whether this interpreter can compress."""
    return _library() is not None


def frame_of(text: bytes) -> bytes:
    """A text, compressed; frames that stand one after another are what `zstd` reads as one file.

    Raises:
        OSError: there is no zstandard.
    """
    return _needed().compress(text, _LEVEL)


def read_frame(path: Path, offset: int) -> tuple[bytes, int] | None:
    """The text of the frame that begins at an offset, and where the next one begins; None if it is not there as a whole.

    Raises:
        OSError: as `read_from`; there is no zstandard, it is no frame, or its text is longer than `MAX_FRAME_BYTES`.
    """
    chunk = read_from(path, offset, _CHUNK_BYTES)  # what is not there is asked first: that needs no zstandard
    library = _needed()
    decompressor = library.ZstdDecompressor()
    texts, num_left = [], MAX_FRAME_BYTES
    while not decompressor.eof:
        if not chunk:
            return None
        offset += len(chunk)
        try:
            texts.append(decompressor.decompress(chunk, num_left + 1))
        except library.ZstdError as error:
            raise OSError(errno.EIO, f"is no zstandard file, or damaged ({error})") from error
        num_left -= len(texts[-1])
        if num_left < 0:
            raise OSError(errno.EFBIG, f"has a frame of more than {MAX_FRAME_BYTES >> 20} MiB")
        chunk = b"" if decompressor.eof else read_from(path, offset, _CHUNK_BYTES)
    return b"".join(texts), offset - len(decompressor.unused_data)


def _needed() -> _Library:
    library = _library()
    if library is None:
        raise OSError(errno.ENOPKG, "is compressed: reading it takes Python 3.14, or pip install backports.zstd")
    return library
