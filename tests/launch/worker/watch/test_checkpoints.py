from __future__ import annotations

import errno
import io
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch as safetensors
import torch
import torch.distributed as dist

from resumable.launch.evidence.rank_records import Rename
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.watch.checkpoints import CheckpointWatch, path_of
from resumable.launch.worker.watch.saving import Saving
from tests.launch.worker.conftest import FAULT, Interrupter, Listener, told

STATE = {"weights": torch.arange(100.0)}


@pytest.fixture
def interrupter(listener: Listener, patches: Patches) -> Interrupter:
    """Saves and loads of torch and safetensors and the system's renames, watched during one test."""
    interrupter = Interrupter()
    CheckpointWatch(listener, interrupter, Saving(listener, interrupter)).install(patches)
    return interrupter


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


@pytest.mark.parametrize(
    ("copy", "expected"),
    [
        pytest.param(lambda: shutil.copyfile("a/b", "c"), [("Copy", "b", "c")], id="copyfile"),
        pytest.param(lambda: shutil.copy("a/b", "folder"), [("Copy", "b", "b")], id="copy into a folder"),
        pytest.param(lambda: shutil.copy2(dst="c", src="a/b"), [("Copy", "b", "c")], id="copy2"),
        pytest.param(lambda: shutil.copytree("a", "c"), [("Copy", "a", "c")], id="a whole folder, once"),
        pytest.param(lambda: Path("c").hardlink_to("a/b"), [("Copy", "b", "c")], id="hard link"),
        pytest.param(lambda: Path("folder/c").symlink_to("../a/b"), [("Copy", "b", "c")], id="link"),
        pytest.param(lambda: shutil.copy("elsewhere", "c"), [], id="what nobody saved"),
    ],
)
@pytest.mark.usefixtures("interrupter")
def test_a_copy_of_what_was_saved_is_told(
    listener: Listener,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    copy: Callable[[], object],
    expected: list[tuple[str, ...]],
) -> None:
    """Whatever it was renamed to before."""
    monkeypatch.chdir(tmp_path)
    for folder in ("draft", "folder"):
        Path(folder).mkdir()
    Path("elsewhere").touch()
    torch.save(STATE, "draft/b")
    Path("draft").rename("a")
    listener.records.clear()
    copy()
    assert told(listener) == expected
    assert [(one.source, one.target) for one in listener.records if not Path(one.target).exists()] == []


def test_so_are_those_of_safetensors(listener: Listener, interrupter: Interrupter, tmp_path: Path) -> None:
    """With their content; a fault in the middle finds half of the file."""
    safetensors.save_file(STATE, tmp_path / "a")
    interrupter.fault = FAULT
    safetensors.save_file(STATE, filename=tmp_path / "b")
    loaded = safetensors.load_file(filename=str(tmp_path / "b"))
    assert torch.equal(STATE["weights"], loaded["weights"])
    saves = [("Save", phase, name) for name in ("a", "b") for phase in ("begin", "end")]
    assert told(listener) == [*saves, ("Load", "b")]
    assert listener.records[0].content.keys() == {"weights"}
    assert interrupter.looked_at == [(str(tmp_path / "b"), (tmp_path / "b").stat().st_size // 2)]


@pytest.mark.usefixtures("interrupter")
def test_it_is_told_whether_another_thread_saves(listener: Listener, tmp_path: Path) -> None:
    """What it writes, and puts into place, may be older than the last step."""

    def write(name: str) -> None:
        torch.save(STATE, tmp_path / name)
        (tmp_path / name).replace(tmp_path / f"{name}.pt")

    thread = threading.Thread(target=write, args=("a",))
    thread.start()
    thread.join()
    write("b")
    writers = [one.writer for one in listener.records if isinstance(one, Rename) or one.phase == "begin"]
    assert writers == ["thread", "thread", "loop", "loop"]


@pytest.mark.usefixtures("interrupter")
def test_what_ranks_send_one_another_is_no_checkpoint(listener: Listener, tmp_path: Path) -> None:
    """Tensors among it are pickled as `torch.save` does it; what is renamed afterwards is not what was sent."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    received = [None]
    try:
        dist.all_gather_object(received, STATE)
        dist.broadcast_object_list([STATE], src=0)
    finally:
        dist.destroy_process_group()
    torch.save(STATE, tmp_path / "a")
    torch.load(tmp_path / "a")
    assert torch.equal(STATE["weights"], received[0]["weights"])
    assert told(listener) == [("Save", "begin", "a"), ("Save", "end", "a"), ("Load", "a")]


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

    def fill_up(_path: str) -> None:
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
    """A descriptor is no name, and one that is refused is none either."""
    with (tmp_path / "a").open("wb") as file, os.fdopen(os.dup(file.fileno()), "wb") as nameless:
        assert (path_of(file), path_of(nameless), path_of(io.BytesIO())) == (str(tmp_path / "a"), "", "")
    assert path_of(Discreet()) == ""


class Discreet(io.BytesIO):
    """Says no name."""

    name = property(lambda _: 1 // 0)
