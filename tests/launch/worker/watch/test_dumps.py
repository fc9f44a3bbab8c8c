"""What the job writes beside its checkpoints."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resumable.launch.evidence.rank_records import Dump
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.watch.dumps import DumpWatch
from resumable.launch.worker.watch.saving import Saving
from tests.launch.worker.conftest import Listener
from tests.launch.worker.stage import Stage


@pytest.fixture
def saving(tmp_path: Path, listener: Listener, patches: Patches, monkeypatch: pytest.MonkeyPatch) -> Saving:
    """In the directory in which a job begins."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    saving = Saving(listener, Stage(tmp_path).trigger)
    DumpWatch(listener, saving).install(patches)
    return saving


def dumped(write: Callable[..., None], content: object, path: str, mode: str) -> None:
    with Path(path).open(mode) as file:
        write(content, file)


@pytest.mark.parametrize(
    ("write", "name", "figures"),
    [
        pytest.param(
            lambda: dumped(pickle.dump, {"best": 0.5, "name": "x"}, "a.pkl", "wb"), "a.pkl", {"best": 0.5}, id="pickle"
        ),
        pytest.param(lambda: dumped(json.dump, {"steps": [3, 4]}, "a.json", "w"), "a.json", None, id="json"),
        pytest.param(lambda: np.save("a", np.arange(3)), "a.npy", None, id="an array"),
        pytest.param(lambda: np.savez(Path("a"), counts=np.arange(3)), "a.npz", None, id="arrays"),
        pytest.param(lambda: np.savez_compressed("a.npz", np.arange(3)), "a.npz", None, id="without names"),
        pytest.param(lambda: dumped(pickle.dump, [1] * 5000, "a.pkl", "wb"), "a.pkl", {}, id="data"),
    ],
)
@pytest.mark.usefixtures("saving")
def test_what_is_written_is_told(
    listener: Listener, write: Callable[[], None], name: str, figures: dict[str, float] | None
) -> None:
    """When it begins, with its numbers, and when it is done."""
    write()
    begin, end = (record for record in listener.records if isinstance(record, Dump))
    assert [(str(Path(name).resolve()), phase) for phase in ("begin", "end")] == [
        (one.path, one.phase) for one in (begin, end)
    ]
    assert begin.figures == figures if figures is not None else begin.figures
    assert Path(name).exists()


def within_a_save(saving: Saving) -> None:
    with saving.part_of_save():
        np.save("a", np.arange(3))


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda _: np.save("../a", np.arange(3)), id="elsewhere"),
        pytest.param(lambda _: pickle.dumps([1]), id="into memory"),
        pytest.param(within_a_save, id="as a part of a checkpoint"),
    ],
)
def test_nothing_else_is_told(saving: Saving, listener: Listener, write: Callable[[Saving], None]) -> None:
    """Of what is not the job's own, or is told already."""
    write(saving)
    assert [record for record in listener.records if isinstance(record, Dump)] == []


@pytest.mark.usefixtures("saving")
def test_what_fails_is_never_finished(listener: Listener) -> None:
    """Half of a file may be there."""
    with pytest.raises(TypeError):
        dumped(json.dump, {"a": {1, 2}}, "a.json", "w")
    assert [record.phase for record in listener.records if isinstance(record, Dump)] == ["begin"]
