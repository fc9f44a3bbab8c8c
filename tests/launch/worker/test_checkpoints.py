from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from launch.faults import Fault, resolve
from launch.grammar import parse_fault
from launch.worker import checkpoints as module
from launch.worker.checkpoints import CheckpointWatch, path_of
from tests.launch.worker.conftest import Listener

STATE = {"weights": torch.arange(100.0)}
FAULT = resolve([parse_fault("sigterm@save#0+during:rank=0")], world_size=1, seed=0)[0]


class Interrupter:
    """Stands where the trigger stands: in the middle of a save it looks at the file, and does what it is told to."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.act: Callable[[], None] = lambda: None
        self.looked_at: list[tuple[str, int]] = []

    def fault_during_save(self) -> Fault | None:
        return self.fault

    def fire_during_save(self, fault: Fault, path: str) -> None:
        assert fault == self.fault
        self.looked_at.append((path, Path(path).stat().st_size if path else 0))
        self.act()


@pytest.fixture
def interrupter(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> Interrupter:
    """torch's save and load and the system's renames, watched during one test."""
    for owner, name in ((torch, "save"), (torch, "load"), (os, "replace"), (os, "rename")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(module, "when_imported", lambda *_: None)
    interrupter = Interrupter()
    CheckpointWatch(listener, interrupter).install()
    return interrupter


def told(listener: Listener) -> list[tuple[str, ...]]:
    """What was recorded: kind, phase and file names."""
    fields = ("phase", "path", "source", "target")
    return [
        (type(record).__name__, *(Path(getattr(record, field)).name for field in fields if hasattr(record, field)))
        for record in listener.records
    ]


@pytest.mark.usefixtures("interrupter")
def test_a_save_a_rename_and_a_load_are_told(listener: Listener, tmp_path: Path) -> None:
    """In their order, with absolute paths."""
    torch.save(STATE, tmp_path / "t")
    (tmp_path / "t").replace(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    loaded = torch.load(tmp_path / "b")
    assert torch.equal(STATE["weights"], loaded["weights"])
    assert told(listener) == [
        ("Save", "begin", "t"),
        ("Save", "end", "t"),
        ("Rename", "t", "a"),
        ("Rename", "a", "b"),
        ("Load", "b"),
    ]
    assert listener.records[0].path == str(tmp_path / "t")


@pytest.mark.usefixtures("interrupter")
def test_what_did_not_happen_is_not_told(listener: Listener, tmp_path: Path) -> None:
    """A save that failed has begun; a load and a rename that failed have not been. The next save is told again."""
    with pytest.raises(RuntimeError):
        torch.save(STATE, tmp_path / "nowhere" / "a")
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        (tmp_path / "t").replace(tmp_path / "a")
    torch.save(STATE, tmp_path / "b")
    assert told(listener) == [("Save", "begin", "a"), ("Save", "begin", "b"), ("Save", "end", "b")]


@pytest.mark.usefixtures("interrupter")
def test_a_save_within_a_save_is_part_of_it(listener: Listener, tmp_path: Path) -> None:
    """A checkpoint of many tensors is one checkpoint."""

    class Parts:
        def __reduce__(self) -> tuple[type, tuple[()]]:
            torch.save(STATE, tmp_path / "part")
            return (dict, ())

    torch.save(Parts(), tmp_path / "whole")
    assert told(listener) == [("Save", "begin", "whole"), ("Save", "end", "whole")]


@pytest.mark.usefixtures("interrupter")
def test_a_process_that_is_no_rank_tells_nothing(listener: Listener, tmp_path: Path) -> None:
    """Loader workers inherit the watch."""
    listener.is_active = False
    torch.save(STATE, tmp_path / "a")
    assert torch.load(tmp_path / "a").keys() == STATE.keys()
    assert [line for line in told(listener) if line[0] == "Save"] == []


def test_a_fault_during_a_save_finds_half_of_the_file(
    listener: Listener, interrupter: Interrupter, tmp_path: Path
) -> None:
    """And who survives it has a whole file in the end."""
    interrupter.fault = FAULT
    torch.save(STATE, tmp_path / "a")
    assert interrupter.looked_at == [(str(tmp_path / "a"), (tmp_path / "a").stat().st_size // 2)]
    assert torch.equal(STATE["weights"], torch.load(tmp_path / "a")["weights"])
    assert told(listener)[:2] == [("Save", "begin", "a"), ("Save", "end", "a")]


def test_a_fault_during_a_save_into_an_open_file_finds_half_of_it(interrupter: Interrupter, tmp_path: Path) -> None:
    """What the file object still held back is written out first."""
    interrupter.fault = FAULT
    with (tmp_path / "a").open("wb") as file:
        torch.save(STATE, file)
    assert interrupter.looked_at == [(str(tmp_path / "a"), (tmp_path / "a").stat().st_size // 2)]


def test_a_fault_during_a_save_into_memory_has_no_path(interrupter: Interrupter) -> None:
    """A job may write the buffer by other means."""
    interrupter.fault = FAULT
    buffer = io.BytesIO()
    torch.save(STATE, buffer)
    assert interrupter.looked_at == [("", 0)]
    buffer.seek(0)
    assert torch.equal(STATE["weights"], torch.load(buffer)["weights"])


def test_an_error_during_a_save_comes_out_and_leaves_half(
    listener: Listener, interrupter: Interrupter, tmp_path: Path
) -> None:
    """The save has begun and never ended; the one after it is a save like any other."""

    def fill_up() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    whole = io.BytesIO()
    torch.save(STATE, whole)
    interrupter.fault, interrupter.act = FAULT, fill_up
    with pytest.raises(OSError, match="No space left"):
        torch.save(STATE, tmp_path / "half")
    assert (tmp_path / "half").read_bytes() == whole.getvalue()[: len(whole.getvalue()) // 2]
    interrupter.fault = None
    torch.save(STATE, tmp_path / "b")
    assert told(listener)[2:] == [("Save", "begin", "half"), ("Save", "begin", "b"), ("Save", "end", "b")]


@pytest.mark.parametrize("file", ["a", b"a", Path("a")])
def test_a_path_is_absolute_in_any_spelling(file: object) -> None:
    """Where the process stood when it wrote it is no part of the evidence."""
    assert path_of(file) == str(Path.cwd() / "a")


def test_an_open_file_is_known_by_its_name_and_a_buffer_has_none(tmp_path: Path) -> None:
    """A descriptor is no name."""
    with (tmp_path / "a").open("wb") as file, os.fdopen(os.dup(file.fileno()), "wb") as nameless:
        assert (path_of(file), path_of(nameless), path_of(io.BytesIO())) == (str(tmp_path / "a"), "", "")
