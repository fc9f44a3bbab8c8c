"""Which files there are after what a process did."""

from __future__ import annotations

import msgspec
import pytest

from resumable.launch.evidence.rank_records import AnyRecord, Copy, Remove, Rename, Save
from resumable.launch.evidence.written_files import files_in


def lines(*records: AnyRecord) -> list[AnyRecord]:
    return [msgspec.structs.replace(record, sequence=number) for number, record in enumerate(records)]


def saved(path: str, content: str = "") -> tuple[Save, Save]:
    begin = Save(sequence=0, time_ns=0, path=path, phase="begin", content={"weights": content})
    return begin, Save(sequence=0, time_ns=0, path=path, phase="end")


def copy(source: str, target: str) -> Copy:
    return Copy(sequence=0, time_ns=0, source=source, target=target)


def rename(source: str, target: str) -> Rename:
    return Rename(sequence=0, time_ns=0, source=source, target=target)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param((*saved("a", "1"), copy("a", "b")), {"a": ("1", 0), "b": ("1", 2)}, id="a copy"),
        pytest.param(
            (*saved("a", "1"), *saved("a", "2"), copy("a", "b")), {"a": ("2", 2), "b": ("2", 4)}, id="of the newest"
        ),
        pytest.param(
            (*saved("a", "1"), copy("a", "b"), *saved("a", "2")), {"b": ("1", 2), "a": ("2", 3)}, id="of the one before"
        ),
        pytest.param(
            (*saved("a", "1"), copy("a", "t"), rename("t", "b")), {"a": ("1", 0), "b": ("1", 2)}, id="put in place"
        ),
        pytest.param((*saved("d/a", "1"), copy("d", "e")), {"d/a": ("1", 0), "e/a": ("1", 2)}, id="of all in a folder"),
        pytest.param((*saved("a", "1")[:1], copy("a", "b")), {"a": ("1", 0)}, id="of what was not finished"),
        pytest.param((rename("t", "a"), copy("a", "b")), {"a": ("", 0)}, id="of what nobody saw written"),
    ],
)
def test_a_copy_holds_what_was_copied(records: tuple[AnyRecord, ...], expected: dict[str, tuple[str, int]]) -> None:
    """Under its own name, from when it was made."""
    found = {file.path: (file.begun, file.begin) for file in files_in(lines(*records))}
    contents = {
        path: (begun.content["weights"] if isinstance(begun, Save) else "", line)
        for path, (begun, line) in found.items()
    }
    assert contents == expected


def test_a_copy_is_removed_by_itself() -> None:
    """What was copied stays."""
    removed = Remove(sequence=0, time_ns=0, path="a")
    files = files_in(lines(*saved("a"), copy("a", "b"), removed))
    assert {file.path: file.is_removed for file in files} == {"a": True, "b": False}


def test_a_link_of_which_the_newer_name_is_left_is_one_file() -> None:
    """It was put into place that way."""
    [file] = files_in(lines(*saved("a"), copy("a", "b"), rename("a", "b")))
    assert (file.path, file.begin) == ("b", 0)
