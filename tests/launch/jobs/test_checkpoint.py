from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from resumable.launch.jobs.checkpoint import CheckpointError, CheckpointFolder, DamagedCheckpointError, decode, encode

WHOLE = encode({"step": 5, "weights": torch.arange(3)})


def full_disk(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "header"),
        (WHOLE[:-1], "torn"),
        (WHOLE[:-1] + b"x", "corrupt"),
        (b"resumable-checkpoint/2" + WHOLE[22:], "header"),
        (encode({"path": Path()}), "refused"),
    ],
)
def test_damaged_bytes_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    """What is not whole is never loaded, and nothing in it is executed."""
    with pytest.raises(DamagedCheckpointError, match=reason):
        decode(data)


def test_the_newest_whole_checkpoint_is_found_and_the_torn_one_named(tmp_path: Path) -> None:
    """A torn file costs the steps since the one before it, and nothing else."""
    folder = CheckpointFolder(path=tmp_path)
    whole = folder.save({"step": 5}, step=5)
    torn = folder.save({"step": 10}, step=10)
    torn.write_bytes(torn.read_bytes()[:-7])
    found = folder.newest()
    assert whole == found.path
    assert [str(torn)] == [skipped.partition(":")[0] for skipped in found.skipped]


def test_only_the_last_few_are_kept(tmp_path: Path) -> None:
    """Later steps are kept, earlier ones dropped, temporary files of dead writers removed."""
    folder = CheckpointFolder(path=tmp_path, keep=2)
    (tmp_path / "step-00000001.ckpt.tmp").write_bytes(b"torn")
    folder.prepare()
    paths = [folder.save({"step": step}, step=step) for step in (1, 2, 3)]
    assert paths[1:] == sorted(tmp_path.iterdir())


def test_a_full_disk_names_the_folder_and_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error while saving loses nothing that was saved."""
    folder = CheckpointFolder(path=tmp_path)
    good = folder.save({"step": 1}, step=1)
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(CheckpointError, match=tmp_path.name):
        folder.save({"step": 2}, step=2)
    assert [good] == list(tmp_path.iterdir())
