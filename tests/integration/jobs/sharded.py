"""A job that checkpoints with `torch.distributed.checkpoint`: a folder for each save, with the checksums of its files.

    sharded.py [--async [--done]] [--blindly] [--over]

`--async` saves in the background; with `--done` all is written before the next step. Careless are `--blindly`, which
takes the newest folder for a whole one, and `--over`, which saves every time over the same folder.
"""

import json
import sys
import zlib
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

from resumable.samplers import ResumableDistributedSampler, as_dcp

IS_BLIND, IS_OVER, IS_ASYNC, IS_DONE = (flag in sys.argv for flag in ("--blindly", "--over", "--async", "--done"))

dist.init_process_group("gloo")
savers = dist.new_group()  # what is saved in the background must not come between the gradients
torch.manual_seed(0)
data = TensorDataset(torch.arange(64.0).reshape(64, 1))
sampler = ResumableDistributedSampler(data, batch_size=4)
model = DistributedDataParallel(torch.nn.Linear(1, 1024))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
step = 0
unfinished: list[tuple[Future[Any], Path]] = []


def state() -> dict[str, Any]:
    return {"model": model.module.state_dict(), "sampler": as_dcp(sampler), "step": torch.tensor(step)}


def save() -> None:
    folder = Path("step-latest" if IS_OVER else f"step-{step:04d}")
    if IS_ASYNC:
        finish()
        unfinished.append((dcp.async_save(state(), checkpoint_id=folder, process_group=savers), folder))
        if IS_DONE:
            wait([unfinished[-1][0]])
    else:
        dcp.save(state(), checkpoint_id=folder)
        seal(folder)


def finish() -> None:
    """Wait for what is saved in the background."""
    while unfinished:
        future, folder = unfinished.pop()
        future.result()
        seal(folder)


def seal(folder: Path) -> None:
    if dist.get_rank() == 0:
        (folder / "checksums").write_text(json.dumps(checksums(folder)))


def checksums(folder: Path) -> dict[str, int]:
    return {file.name: zlib.crc32(file.read_bytes()) for file in folder.iterdir() if file.name != "checksums"}


def is_whole(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / "checksums").read_text()) == checksums(folder))
    except (OSError, ValueError):
        return False


newest = next((path for path in sorted(Path().glob("step-*"), reverse=True) if IS_BLIND or is_whole(path)), None)
if newest is not None:
    loaded = state()
    dcp.load(loaded, checkpoint_id=newest)
    model.module.load_state_dict(loaded["model"])
    step = int(loaded["step"])
for epoch in range(sampler.epoch, 3):
    sampler.set_epoch(epoch)
    for (x,) in DataLoader(data, batch_size=4, sampler=sampler):
        optimizer.zero_grad()
        model(x).mean().backward()
        optimizer.step()
        sampler.commit()
        step += 1
        if step % 4 == 0:
            save()
finish()
