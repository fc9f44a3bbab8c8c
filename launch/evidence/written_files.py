"""Files that a process wrote with `torch.save` or renamed into place, as its evidence tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from resumable.launch.evidence.rank_records import AnyRecord, Remove, Rename, Save, Writer


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A complete file: when it was begun, and when it was whole under its name."""

    path: str
    """"" for a buffer in memory."""
    begin: int
    end: int
    is_saved: bool = True
    first_path: str = ""
    """Under which it was written, before it was renamed."""
    writer: Writer = "loop"
    is_removed: bool = False
    """The same process removed it afterwards."""


def files_in(records: Iterable[AnyRecord]) -> list[File]:
    """Complete files of one process, in the order in which they were whole; one written again stands there again.

    Args:
        records: Lines of one process; a file whose writing has begun only is not among the result.
    """
    begun: dict[str, Save] = {}
    files: list[File] = []
    for record in records:
        match record:
            case Save(phase="begin"):
                begun[record.path] = record
            case Save(phase="end"):
                files.append(_file(begun.get(record.path, record), record))
            case Rename():
                files = list(_renamed(files, record))
            case Remove():
                files = [_without(file, record) for file in files]
    return files


def _without(file: File, removed: Remove) -> File:
    """The file, which may be what was removed, or have lain in it where that was a folder."""
    is_removed = file.path == removed.path or file.path.startswith(f"{removed.path}/")
    return msgspec.structs.replace(file, is_removed=True) if is_removed else file


def _file(begin: Save, end: Save) -> File:
    return File(
        path=end.path,
        begin=begin.sequence,
        end=end.sequence,
        first_path=end.path,
        writer=begin.writer,
    )


def _renamed(files: Sequence[File], rename: Rename) -> Iterator[File]:
    """The files under their new names: the file itself, or all in a folder.

    A file that nobody saw written is what was last saved to a buffer, if there is such, and else something unknown.
    """
    inside = rename.source + "/"
    moved = [file for file in files if file.path == rename.source or file.path.startswith(inside)]
    if not moved:
        moved = [file for file in files if not file.path][-1:]
    yield from (file for file in files if file not in moved)
    for file in moved:
        path = rename.target + file.path[len(rename.source) :] if file.path else rename.target
        yield msgspec.structs.replace(file, path=path, end=rename.sequence)
    if not moved:
        yield File(path=rename.target, begin=rename.sequence, end=rename.sequence, is_saved=False)
