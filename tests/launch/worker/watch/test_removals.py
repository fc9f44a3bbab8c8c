"""What the job removes itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable.launch.worker.patching import Patches
from resumable.launch.worker.watch.removals import RemovalWatch
from tests.launch.worker.conftest import Listener, told


@pytest.fixture
def folder(tmp_path: Path, listener: Listener, patches: Patches, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which a job begins, watched during one test; it holds a checkpoint and a file."""
    (tmp_path / "work" / "step-4" / "shards").mkdir(parents=True)
    for name in ("step-4/state.pt", "step-4/shards/a", "file"):
        (tmp_path / "work" / name).touch()
    (tmp_path / "elsewhere").touch()
    monkeypatch.chdir(tmp_path / "work")
    RemovalWatch(listener).install(patches)
    return tmp_path / "work"


def nothing_there() -> None:
    with contextlib.suppress(FileNotFoundError):
        Path("nowhere").unlink()


@pytest.mark.parametrize(
    ("remove", "expected"),
    [
        pytest.param(lambda: os.remove(b"file"), [("Remove", "file")], id="remove"),  # noqa: PTH107
        pytest.param(lambda: os.unlink(b"step-4/state.pt"), [("Remove", "state.pt")], id="unlink"),  # noqa: PTH108
        pytest.param(lambda: Path("step-4/state.pt").unlink(), [("Remove", "state.pt")], id="Path.unlink"),
        pytest.param(lambda: shutil.rmtree("step-4"), [("Remove", "step-4")], id="a whole folder, once"),
        pytest.param(lambda: shutil.rmtree("nowhere", ignore_errors=True), [], id="nothing"),
        pytest.param(Path("../elsewhere").unlink, [], id="elsewhere"),
        pytest.param(nothing_there, [], id="what is not there"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_removed_is_told(
    listener: Listener, remove: Callable[[], None], expected: list[tuple[str, str]]
) -> None:
    """Below the directory in which the job began, with its absolute path, once it is gone."""
    remove()
    assert expected == told(listener)


def put_in_place() -> None:
    os.link("file", "named")
    Path("file").unlink()


def put_in_place_and_overwritten() -> None:
    Path("named").hardlink_to("file")
    Path("step-4/state.pt").replace("named")
    Path("file").unlink()


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        pytest.param(put_in_place, [("Rename", "file", "named")], id="it has another name"),
        pytest.param(put_in_place_and_overwritten, [("Remove", "file")], id="that is another file's by now"),
        pytest.param(lambda: os.link("file", "named"), [], id="it has both"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_file_that_loses_one_of_its_names_is_renamed(
    listener: Listener, act: Callable[[], None], expected: list[tuple[str, str]]
) -> None:
    """Some put a checkpoint into place by a link, which fails where a file is there."""
    act()
    assert expected == told(listener)


def test_temporary_files_are_none_of_the_jobs(
    listener: Listener, folder: Path, patches: Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a job begins above the folder for them, in `/` for example, libraries remove a lot of those."""
    patches.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "step-4"))
    RemovalWatch(listener).install(patches)
    shutil.rmtree("step-4/shards")
    Path("file").unlink()
    assert told(listener) == [("Remove", "file")]
