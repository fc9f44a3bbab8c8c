from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec
import pytest

from resumable.launch.system import safe_io
from resumable.launch.system.safe_io import decoded, encoded, last_lines, leads_out, read_whole, replace_whole


def test_what_was_replaced_is_read_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    """The draft is gone, and others may read the file as far as the umask lets them."""
    (tmp_path / "plain").touch()
    for content in (b"old", b"new"):
        replace_whole(tmp_path / "file", content)
    assert read_whole(tmp_path / "file") == b"new"
    assert {"file", "plain"} == {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "plain").stat().st_mode == (tmp_path / "file").stat().st_mode


def test_text_that_is_no_unicode_is_escaped_wherever_it_stands() -> None:
    """All else is as it was."""
    name = os.fsdecode(b"ck\xff.pt")
    value = {"plain": "ü", "name": name, name: [{"deep": name}, 1, None, 0.5]}
    escaped = "ck\\udcff.pt"
    expected = {"plain": "ü", "name": escaped, escaped: [{"deep": escaped}, 1, None, 0.5]}
    assert expected == msgspec.json.decode(encoded(msgspec.json.encode, value))


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What it points to stays as it was."""
    (tmp_path / "outside").write_bytes(b"precious")
    for name in ("file.json", "file.tmp"):
        (tmp_path / name).symlink_to(tmp_path / "outside")
    replace_whole(tmp_path / "file.json", b"new")
    assert ((tmp_path / "outside").read_bytes(), (tmp_path / "file.json").is_symlink()) == (b"precious", False)


def test_a_draft_that_does_not_come_to_its_place_is_removed(tmp_path: Path) -> None:
    """The error is that of the file."""
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_whole(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe without a writer, a folder, a device without an end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "endless").symlink_to("/dev/zero")
    reasons = []
    for name in ("pipe", "folder", "endless"):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the reasons are compared
            read_whole(tmp_path / name)
        reasons.append(caught.value.strerror)
    assert reasons == ["not a regular file"] * 3


def test_no_file_has_a_nul_byte_in_its_name() -> None:
    """It is missing, like any other that is not there."""
    with pytest.raises(FileNotFoundError):
        read_whole(Path("a\0b"))


class Named(msgspec.Struct):
    name: str = ""


@pytest.mark.parametrize("data", [b"{", b'{"name": "\xff"}', b'{"other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"])
def test_whatever_is_wrong_with_a_text_is_one_error(data: bytes) -> None:
    """Bytes that are no UTF-8 and endless nesting too."""
    with pytest.raises(msgspec.DecodeError):
        decoded(msgspec.json.Decoder(Named).decode, data)


def test_the_last_lines_are_those_that_hold_something(tmp_path: Path) -> None:
    """Of a file of any size only its end is read."""
    (tmp_path / "log").write_bytes(b"x" * 200_000 + b"\nfirst\n\nsecond \n\xff third\n\n")
    assert last_lines(tmp_path / "log", 2, within=tmp_path) == ["second", "\ufffd third"]


@pytest.mark.parametrize("name", ["missing", "pipe", "link", "folder", "bad\0name"])
def test_what_is_no_file_of_the_folder_has_no_last_lines(tmp_path: Path, name: str) -> None:
    """A link may point to what nobody wants to see in a report."""
    (tmp_path / "secret").write_text("secret")
    within = tmp_path / "run"
    (within / "folder").mkdir(parents=True)
    (within / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(within / "pipe")
    assert last_lines(within / name, 2, within=within) == []


@pytest.mark.parametrize(("excess", "is_read"), [(0, True), (1, False)])
def test_a_hole_as_long_as_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, excess: int, is_read: bool
) -> None:
    """A file of many gigabytes may hold nothing."""
    monkeypatch.setattr(safe_io, "MAX_SIZE_BYTES", 1 << 20)
    with (tmp_path / "file").open("wb") as file:
        file.truncate((1 << 20) + excess)
    with contextlib.nullcontext() if is_read else pytest.raises(OSError, match="longer than 1 MiB"):
        assert len(read_whole(tmp_path / "file")) == 1 << 20


def test_a_link_leads_out_of_a_folder_and_a_name_above_it_does_not(tmp_path: Path) -> None:
    """What the caller names outside is his business; a link within the folder may be a stranger's."""
    (tmp_path / "inside" / "deep").mkdir(parents=True)
    (tmp_path / "inside" / "out").symlink_to(tmp_path)
    (tmp_path / "inside" / "to").symlink_to(tmp_path / "inside" / "deep")
    (tmp_path / "way").symlink_to(tmp_path / "inside")
    led = {name: leads_out(tmp_path / name, tmp_path / "way") for name in ("way/out/f", "way/to/f", "way/f", "f")}
    assert led == {"way/out/f": True, "way/to/f": False, "way/f": False, "f": False}
