"""Working directories that are kept, and put back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable.launch.evidence.kept_work import forget_work, keep_work, put_back
from resumable.launch.evidence.run_dir import ScenarioDir


@pytest.fixture
def folder(tmp_path: Path) -> ScenarioDir:
    """One with a checkpoint, and a link to it."""
    made = ScenarioDir(root=tmp_path / "chain-0001")
    made.create()
    (made.work / "saved").mkdir()
    (made.work / "saved" / "5.pt").write_text("five")
    os.utime(made.work / "saved" / "5.pt", ns=(1, 1))
    (made.work / "latest").symlink_to("saved/5.pt")
    return made


def test_a_folder_is_put_back_as_it_was(folder: ScenarioDir) -> None:
    """Whatever was written, overwritten and removed since: content, links, and the times by which a job finds the newest."""
    keep_work(folder, 3)
    (folder.work / "saved" / "5.pt").write_text("overwritten")
    (folder.work / "latest").unlink()
    (folder.work / "more").touch()
    assert put_back(folder, 3)
    assert sorted(path.name for path in folder.work.iterdir()) == ["latest", "saved"]
    assert [str((folder.work / "latest").readlink()), (folder.work / "latest").read_text()] == ["saved/5.pt", "five"]
    assert (folder.work / "saved" / "5.pt").stat().st_mtime_ns == 1


@pytest.mark.parametrize("add", [os.mkfifo, lambda path: os.link(path.parent / "saved" / "5.pt", path)])
def test_what_would_not_be_the_same_is_not_kept(folder: ScenarioDir, add: Callable[[Path], object]) -> None:
    """A pipe cannot be copied, and two names of one file would become two files."""
    add(folder.work / "odd")
    keep_work(folder, 3)
    assert not put_back(folder, 3)
    assert (folder.work / "latest").read_text() == "five"


def test_copies_go_once_nobody_needs_them(folder: ScenarioDir) -> None:
    """Those of earlier lives first; before the first life there is nothing to keep."""
    for life in range(4):
        keep_work(folder, life)
    forget_work(folder, before=3)
    assert [kept.name for kept in folder.kept.iterdir()] == ["3"]
    forget_work(folder)
    assert not folder.kept.exists()
