from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import state_dict_saver

from resumable.launch.worker.fingerprint.content import content_of
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.watch.checkpoints import CheckpointWatch
from resumable.launch.worker.watch.distributed_checkpoints import DistributedCheckpointWatch
from resumable.launch.worker.watch.saving import Saving
from tests.launch.worker.conftest import FAULT, Interrupter, Listener, told

pytestmark = pytest.mark.filterwarnings(
    "ignore:torch.distributed is disabled",
    "ignore:torch.distributed is unavailable",  # in the words of torch 2.6
    "ignore:TypedStorage is deprecated",  # torch 2.6 itself uses it
    "ignore:Detected an existing checkpoint",
)
ONCE = [("Save", "begin", "a"), ("Save", "end", "a")]


@pytest.fixture
def interrupter(listener: Listener, patches: Patches) -> Interrupter:
    """All saves, loads and renames are watched during one test."""
    interrupter = Interrupter()
    saving = Saving(listener, interrupter)
    CheckpointWatch(listener, interrupter, saving).install(patches)
    DistributedCheckpointWatch(interrupter, saving).install(patches)
    return interrupter


def state(value: float = 1.0) -> dict[str, Any]:
    return {"a": torch.full((100,), value), "b": torch.full((100,), value), "c": torch.full((100,), value), "step": 7}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("interrupter")
@pytest.mark.parametrize(
    "save",
    [
        pytest.param(lambda folder: dcp.save(state(), checkpoint_id=folder), id="by its path"),
        pytest.param(lambda folder: dcp.save(state(), checkpoint_id=str(folder)), id="by its path as text"),
        pytest.param(
            lambda folder: dcp.save(state(), storage_writer=dcp.FileSystemWriter(folder)), id="by its storage"
        ),
        pytest.param(
            lambda folder: dcp.save(
                state(), checkpoint_id=folder, storage_writer=dcp.FileSystemWriter(folder / "other", thread_count=2)
            ),
            id="by both",
        ),
        pytest.param(
            lambda folder: dcp.save(state(), dcp.FileSystemWriter(folder)),
            id="by its storage, without the word",
            marks=pytest.mark.filterwarnings("ignore:The argument order"),
        ),
        pytest.param(
            lambda folder: dcp.save_state_dict(state(), dcp.FileSystemWriter(folder), no_dist=True),
            id="by the older function",
            marks=pytest.mark.filterwarnings("ignore:.*save_state_dict"),
        ),
        pytest.param(lambda folder: dcp.async_save(state(), checkpoint_id=folder).result(), id="in a thread"),
        pytest.param(
            lambda folder: dcp.async_save(state(), storage_writer=dcp.FileSystemWriter(folder)).result(),
            id="in a thread, by its storage",
        ),
    ],
)
def test_a_save_counts_once(listener: Listener, tmp_path: Path, save: Callable[[Path], object]) -> None:
    """However it names its folder, and however many tensors, files and renames it is made of."""
    save(tmp_path / "a")
    assert told(listener) == ONCE
    assert listener.records[0].path == str(tmp_path / "a")


@pytest.mark.usefixtures("interrupter")
@pytest.mark.parametrize(
    "load",
    [
        pytest.param(lambda loaded, folder: dcp.load(loaded, checkpoint_id=folder), id="by its path"),
        pytest.param(
            lambda loaded, folder: dcp.load(loaded, storage_reader=dcp.FileSystemReader(folder)), id="by its storage"
        ),
        pytest.param(
            lambda loaded, folder: dcp.load(loaded, dcp.FileSystemReader(folder)),
            id="by its storage, without the word",
            marks=pytest.mark.filterwarnings("ignore:The argument order"),
        ),
    ],
)
def test_a_load_counts_once(listener: Listener, tmp_path: Path, load: Callable[[dict[str, Any], Path], object]) -> None:
    """However many tensors it reads."""
    dcp.save(state(), checkpoint_id=tmp_path / "a")
    load(state(), tmp_path / "a")
    assert told(listener)[2:] == [("Load", "a")]


@pytest.mark.usefixtures("interrupter")
def test_a_load_that_failed_is_not_told(listener: Listener, tmp_path: Path) -> None:
    """Nor is what it had read until then."""
    dcp.save(state(), checkpoint_id=tmp_path / "a")
    os.truncate(tmp_path / "a" / "__0_0.distcp", 100)
    with pytest.raises(dcp.CheckpointException):
        dcp.load(state(), checkpoint_id=tmp_path / "a")
    assert told(listener) == ONCE


@pytest.mark.parametrize("thread_count", [1, 2])
@pytest.mark.parametrize(
    "save",
    [
        pytest.param(lambda writer: dcp.save(state(), storage_writer=writer), id="at once"),
        pytest.param(lambda writer: dcp.async_save(state(), storage_writer=writer).result(), id="in a thread"),
    ],
)
def test_a_fault_during_a_save_finds_some_data_and_nothing_that_calls_them_whole(
    interrupter: Interrupter, tmp_path: Path, save: Callable[..., object], thread_count: int
) -> None:
    """And who survives it has a whole checkpoint in the end."""
    seen: list[tuple[list[str], int]] = []
    interrupter.fault = FAULT
    interrupter.act = lambda path: seen.append((names_in(Path(path)), size_of_data(Path(path))))
    save(dcp.FileSystemWriter(tmp_path / "a", thread_count=thread_count))
    data = [f"__0_{number}.distcp" for number in range(thread_count)]
    assert [names for names, _ in seen] == [data]
    assert 0 < seen[0][1] < size_of_data(tmp_path / "a")
    assert names_in(tmp_path / "a") == [".metadata", *data]
    loaded = state(0.0)
    dcp.load(loaded, checkpoint_id=tmp_path / "a")
    assert all(torch.equal(state()[name], loaded[name]) for name in "abc")


def size_of_data(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.distcp"))


def test_a_save_over_another_one_is_left_mixed(interrupter: Interrupter, tmp_path: Path) -> None:
    """What called the older one whole is still there, and its data are not."""
    dcp.save(state(), checkpoint_id=tmp_path / "a")
    interrupter.fault, interrupter.act = FAULT, fill_up
    with pytest.raises(dcp.CheckpointException, match="No space left"):
        dcp.save(state(2.0), checkpoint_id=tmp_path / "a")
    assert names_in(tmp_path / "a") == [".metadata", "__0_0.distcp"]
    with pytest.raises(dcp.CheckpointException):
        dcp.load(state(), checkpoint_id=tmp_path / "a")


def test_an_error_during_a_save_leaves_it_begun(listener: Listener, interrupter: Interrupter, tmp_path: Path) -> None:
    """The next one with the same storage is a save like any other."""
    interrupter.fault, interrupter.act = FAULT, fill_up
    writer = dcp.FileSystemWriter(tmp_path / "a")
    with pytest.raises(dcp.CheckpointException, match="No space left"):
        dcp.save(state(), storage_writer=writer)
    assert names_in(tmp_path / "a") == ["__0_0.distcp"]
    interrupter.fault = None
    dcp.save(state(), storage_writer=writer)
    assert told(listener) == [("Save", "begin", "a"), *ONCE]


def fill_up(_path: str) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_error_in_the_background_comes_out_of_the_result(
    listener: Listener, interrupter: Interrupter, tmp_path: Path
) -> None:
    """As any error there does."""
    interrupter.fault, interrupter.act = FAULT, fill_up
    future = dcp.async_save(state(), checkpoint_id=tmp_path / "a")
    with pytest.raises(dcp.CheckpointException, match="No space left"):
        future.result()
    assert told(listener) == ONCE[:1]


def test_a_save_in_the_background_ends_when_it_is_written(
    listener: Listener, interrupter: Interrupter, tmp_path: Path
) -> None:
    """It begins with the call; meanwhile the loop may save something else."""
    is_over = threading.Event()
    interrupter.fault, interrupter.act = FAULT, lambda _: is_over.wait(timeout=30)
    future = dcp.async_save(state(), checkpoint_id=tmp_path / "a")
    interrupter.fault = None
    torch.save(state(), tmp_path / "b")
    assert told(listener) == [ONCE[0], ("Save", "begin", "b"), ("Save", "end", "b")]
    interrupter.fault = FAULT
    is_over.set()
    future.result()
    assert told(listener)[3:] == [ONCE[1]]
    assert [save.writer for save in listener.records if save.phase == "begin"] == ["torch", "loop"]


class Response:
    """As torch answers where the state is handed over in the background too."""

    def __init__(self, future: Future[None]) -> None:
        self.upload_completion = future


@pytest.mark.parametrize("answer", [lambda future: future, Response])
@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        pytest.param(lambda future: future.set_result(None), ONCE, id="written"),
        pytest.param(lambda future: future.set_exception(OSError()), ONCE[:1], id="failed"),
        pytest.param(lambda future: future.cancel(), ONCE[:1], id="never written"),
    ],
)
def test_a_save_that_another_process_writes_ends_with_its_result(
    listener: Listener,
    patches: Patches,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[Future[None]], object],
    finish: Callable[[Future[None]], object],
    expected: list[tuple[str, ...]],
) -> None:
    """Nobody sees it written here."""
    future: Future[None] = Future()
    monkeypatch.setattr(state_dict_saver, "async_save", lambda *_, **__: answer(future))
    interrupter = Interrupter()
    DistributedCheckpointWatch(interrupter, Saving(listener, interrupter)).install(patches)
    dcp.async_save(state(), checkpoint_id="a")
    assert told(listener) == ONCE[:1]
    finish(future)
    assert told(listener) == expected


@pytest.mark.usefixtures("interrupter")
def test_a_save_that_cannot_be_handed_over_is_forgotten(listener: Listener, tmp_path: Path) -> None:
    """The next one into the same folder begins anew."""
    with pytest.raises(TypeError):
        dcp.async_save(state(), checkpoint_id=tmp_path / "a", nonsense=1)  # type: ignore[call-arg]
    dcp.save(state(), checkpoint_id=tmp_path / "a")
    assert told(listener) == [ONCE[0], *ONCE]


class Application:
    """The model and all beside it as one object, as torch's guide to distributed checkpoints has it."""

    def __init__(self) -> None:
        self.num_asked = 0
        self.weight = torch.zeros(4)
        self.average = torch.zeros(2)

    def state_dict(self) -> dict[str, Any]:
        self.num_asked += 1
        return {"model": {"weight": self.weight}, "average": self.average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.average = state["average"]


@pytest.mark.usefixtures("interrupter")
@pytest.mark.parametrize(
    "save",
    [
        pytest.param(lambda states, folder: dcp.save(states, checkpoint_id=folder), id="at once"),
        pytest.param(lambda states, folder: dcp.async_save(states, checkpoint_id=folder).result(), id="in a thread"),
        pytest.param(lambda states, folder: dcp.save(state_dict=states, checkpoint_id=folder), id="by its word"),
    ],
)
def test_an_object_that_is_saved_counts_with_its_state(
    listener: Listener, tmp_path: Path, save: Callable[..., object]
) -> None:
    """It is asked for it once, and what is read is told before it makes anything of it."""
    application = Application()
    save({"app": application, "step": torch.tensor(3)}, tmp_path / "a")
    assert application.num_asked == 1
    dcp.load({"app": application, "step": torch.tensor(0)}, checkpoint_id=tmp_path / "a")
    begin, _, load = listener.records
    expected = content_of({"app": Application().state_dict(), "step": torch.tensor(3)})
    assert expected == (begin.fingerprints, begin.content, begin.figures)
    assert expected.fingerprints == load.fingerprints
