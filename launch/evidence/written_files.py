"""Files that a process saved, dumped, copied or renamed into place, as its evidence tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

import msgspec

from resumable.launch.evidence.rank_records import AnyRecord, Copy, Dump, Remove, Rename, Save, Writer

Line = Save | Dump | Rename


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or a folder of `torch.distributed.checkpoint`: when it was begun, and when it was whole under its name."""

    begun: Line
    """With which it began; of a file that nobody saw written, what put it in place; of a copy, with which the first one
    began, under the copy's name."""
    ended: Line | Copy | None = None
    """By which it was whole under its last name; None if it never was."""
    path: str
    """Where it lay in the end; "" for a buffer in memory."""
    moves: tuple[tuple[int, str], ...] = ()
    """Its further names, each with the line (`sequence`) that gave it."""
    is_removed: bool = False
    """The same process removed it afterwards."""
    copied: Copy | None = None
    """Of a copy or a link: what made it."""

    @property
    def begin(self) -> int:
        """Line (`sequence`) of its begin; of a copy, when it was made."""
        return (self.copied or self.begun).sequence

    @property
    def is_saved(self) -> bool:
        """It was seen to be written, in a format of checkpoints."""
        return isinstance(self.begun, Save)

    @property
    def is_checkpoint(self) -> bool:
        """A process may go on from it; what was only renamed into place may be anything, as a log."""
        is_saved = self.ended is not None and not isinstance(self.begun, Dump)
        return bool(self.path) and (is_saved or bool(self.moves))

    @property
    def first_path(self) -> str:
        """Under which it was written, before it was renamed."""
        return self.path if isinstance(self.begun, Rename) else self.begun.path

    @property
    def writer(self) -> Writer:
        """Who wrote it."""
        return self.begun.writer


def files_in(records: Iterable[AnyRecord]) -> list[File]:
    """Files of one process, in the order of their last lines; one written again stands there again.

    Args:
        records: Lines of one process.
    """
    files = _Files()
    for record in records:
        match record:
            case Save(phase="begin") | Dump(phase="begin"):
                files.begin(record)
            case Save() | Dump():
                files.end(record)
            case Rename():
                files.rename(record)
            case Copy():
                files.copy(record)
            case Remove():
                files.remove(record)
    return files.in_order()


class _Files:
    """Files in the order of their last lines, each found by its path and by the folders in which it lies."""

    def __init__(self) -> None:
        self._files: dict[int, File] = {}
        self._numbers: dict[str, dict[int, None]] = {}
        """Of the files at a path, or below it where that is a folder."""
        self._open: dict[str, int] = {}
        """Numbers of those that are being written, by the path under which they were begun."""
        self._count = count()

    def begin(self, record: Save | Dump) -> None:
        self._open[record.path] = self._put(File(begun=record, path=record.path))

    def end(self, record: Save | Dump) -> None:
        number = self._open.pop(record.path, None)
        file = File(begun=record, path=record.path) if number is None else self._pop(number)
        self._put(msgspec.structs.replace(file, ended=record), number)

    def rename(self, rename: Rename) -> None:
        """Give files their new names: the file itself, or all in a folder.

        A file that nobody saw written is what was last saved to a buffer, if there is such, and else something unknown.
        """
        buffers = [number for number in self._numbers.get("", ()) if self._files[number].ended is not None]
        numbers = [*self._numbers.get(rename.source, ())] or buffers[-1:]
        for number in numbers:
            file = self._pop(number)
            path = rename.target + file.path[len(rename.source) :] if file.path else rename.target
            moves = (*file.moves, (rename.sequence, path))
            ended = None if file.ended is None else rename
            for other in [*self._numbers.get(path, ())]:
                if self._files[other].copied is not None and self._files[other].begun.sequence == file.begun.sequence:
                    self._pop(other)  # a link, of which only the newer name is left
            self._put(msgspec.structs.replace(file, path=path, ended=ended, moves=moves), number)
        if not numbers:
            self._put(File(begun=rename, ended=rename, path=rename.target))

    def copy(self, copy: Copy) -> None:
        """Add what a finished file, or each in a folder, holds under the name of its copy."""
        newest = {self._files[number].path: self._files[number] for number in self._numbers.get(copy.source, ())}
        for file in newest.values():
            if file.ended is not None and not isinstance(file.begun, Rename):
                path = copy.target + file.path[len(copy.source) :]
                begun = msgspec.structs.replace(file.begun, path=path)
                self._put(File(begun=begun, ended=copy, path=path, copied=copy))

    def remove(self, removed: Remove) -> None:
        """Note that a file was removed, or a folder with all in it."""
        for number in self._numbers.get(removed.path, ()):
            self._files[number] = msgspec.structs.replace(self._files[number], is_removed=True)

    def in_order(self) -> list[File]:
        return list(self._files.values())

    def _put(self, file: File, number: int | None = None) -> int:
        """At the end; a file that was popped keeps its number."""
        number = next(self._count) if number is None else number
        self._files[number] = file
        for place in places_of(file.path):
            self._numbers.setdefault(place, {})[number] = None
        return number

    def _pop(self, number: int) -> File:
        file = self._files.pop(number)
        for place in places_of(file.path):
            del self._numbers[place][number]
        return file


def places_of(path: str) -> Iterator[str]:
    """The path, and all folders above it."""
    yield path
    while path := path.rpartition("/")[0]:
        yield path
