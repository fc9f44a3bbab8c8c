"""Files of a run directory, maybe a stranger's: read without waiting, decoded in one way, replaced as a whole."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TypeVar

import msgspec

_T = TypeVar("_T")

MAX_SIZE_BYTES = 1 << 28
"""Of a file that is read as a whole: a hole costs its author nothing, and its reader as much memory as it is long."""
_MAX_END_BYTES = 64 * 1024


def read_whole(path: Path) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: it cannot be read, is longer than `MAX_SIZE_BYTES`, or is no regular file: a pipe would be waited for, and a
            device may never end.
    """
    with regular_file(path) as file:
        content = file.read(MAX_SIZE_BYTES) if os.fstat(file.fileno()).st_size <= MAX_SIZE_BYTES else b""
        if file.peek(1):
            raise _too_long(path)
        return content


def read_from(path: Path, offset: int, size_bytes: int) -> bytes:
    """At most so many bytes of a regular file, from an offset on; raises as `read_whole` does."""
    with regular_file(path) as file:
        file.seek(offset)
        return file.read(size_bytes)


def read_end(path: Path, size_bytes: int) -> bytes:
    """The last bytes of a regular file, at most so many; raises as `read_whole` does."""
    with regular_file(path, end_bytes=size_bytes) as file:
        return file.read(size_bytes)


def last_lines(path: Path, num_lines: int, *, within: Path) -> list[str]:
    """The last lines of a regular file that hold something, of its last 64 KiB.

    None where it cannot be read, or lies outside of the folder `within` once links are resolved.
    """
    try:
        if not path.resolve().is_relative_to(within.resolve()):
            return []
        text = read_end(path, _MAX_END_BYTES).decode(errors="replace")
    except (OSError, ValueError):  # a NUL byte in the path is a ValueError
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-num_lines:]


@contextlib.contextmanager
def regular_file(path: Path, *, end_bytes: int | None = None) -> Iterator[BufferedReader[FileIO]]:
    """A regular file, to be read from its begin, or from so many bytes before its end; raises as `read_whole` does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL byte, which no file has in its name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with BufferedReader(FileIO(descriptor, closefd=False)) as file:  # in a rank `open` may be the script's own
            if end_bytes is not None:
                file.seek(max(0, file.seek(0, os.SEEK_END) - end_bytes))
            yield file
    finally:
        os.close(descriptor)


def decoded(decode: Callable[[bytes], _T], data: bytes) -> _T:
    """What `decode`, that of a decoder of msgspec, makes of `data`.

    Raises:
        msgspec.DecodeError: whatever is wrong with it, text that is no UTF-8 and endless nesting included.
    """
    try:
        return decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error


def encoded(encode: Callable[[object], bytes], value: object) -> bytes:
    """What `encode`, that of an encoder of msgspec, makes of `value`.

    The name of a file may be any bytes and a message any text: what is no Unicode of it is written as an escape.
    """
    try:
        return encode(value)
    except UnicodeEncodeError:
        return encode(_escaped(msgspec.to_builtins(value)))


def _escaped(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list | tuple) else value


def _too_long(path: Path) -> OSError:
    return OSError(errno.EFBIG, f"longer than {MAX_SIZE_BYTES >> 20} MiB", str(path))


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path that by its name lies in a folder leaves it by a link."""
    named, base = Path(os.path.abspath(path)), Path(os.path.abspath(folder))  # noqa: PTH100 - `resolve` follows links
    return named.is_relative_to(base) and not named.resolve().is_relative_to(base.resolve())


def replace_whole(path: Path, content: bytes) -> None:
    """Write a file that is there as a whole or not at all, whatever lies in its folder already.

    The draft has a name that nobody could foresee and is created by this call: a link in its place, to a file outside of
    the run directory, would let a stranger's evidence overwrite that file.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}-{os.urandom(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - as above
            file.write(content)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
