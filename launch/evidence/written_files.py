"""Files that a process wrote with `torch.save` or renamed into place, as its evidence tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

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
    files = _Files()
    for record in records:
        match record:
            case Save(phase="begin"):
                begun[record.path] = record
            case Save(phase="end"):
                files.add(_file(begun.get(record.path, record), record))
            case Rename():
                files.rename(record)
            case Remove():
                files.remove(record)
    return files.in_order()


class _Files:
    """Files in the order in which they were whole, each found by its path and by the folders in which it lies."""

    def __init__(self) -> None:
        self._files: dict[int, File] = {}
        self._numbers: dict[str, dict[int, None]] = {}
        """Of the files at a path, or below it where that is a folder."""
        self._count = count()

    def add(self, file: File) -> None:
        number = next(self._count)
        self._files[number] = file
        for place in _places(file.path):
            self._numbers.setdefault(place, {})[number] = None

    def rename(self, rename: Rename) -> None:
        """Give files their new names: the file itself, or all in a folder.

        A file that nobody saw written is what was last saved to a buffer, if there is such, and else something unknown.
        """
        numbers = [*self._numbers.get(rename.source, ())] or [*self._numbers.get("", ())][-1:]
        for file in [self._pop(number) for number in numbers]:
            path = rename.target + file.path[len(rename.source) :] if file.path else rename.target
            self.add(msgspec.structs.replace(file, path=path, end=rename.sequence))
        if not numbers:
            self.add(File(path=rename.target, begin=rename.sequence, end=rename.sequence, is_saved=False))

    def remove(self, removed: Remove) -> None:
        """Note that a file was removed, or a folder with all in it."""
        for number in self._numbers.get(removed.path, ()):
            self._files[number] = msgspec.structs.replace(self._files[number], is_removed=True)

    def in_order(self) -> list[File]:
        return list(self._files.values())

    def _pop(self, number: int) -> File:
        file = self._files.pop(number)
        for place in _places(file.path):
            del self._numbers[place][number]
        return file


def _places(path: str) -> Iterator[str]:
    """The path, and all folders above it."""
    yield path
    while path := path.rpartition("/")[0]:
        yield path


def _file(begin: Save, end: Save) -> File:
    return File(
        path=end.path,
        begin=begin.sequence,
        end=end.sequence,
        first_path=end.path,
        writer=begin.writer,
    )
