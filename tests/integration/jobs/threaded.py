"""A job whose rank 0 hands copies of its state to a thread, which writes them while training goes on."""

import copy
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

from resumable.samplers import ResumableDistributedSampler

dist.init_process_group("gloo")
torch.manual_seed(0)
data = TensorDataset(torch.arange(64.0).reshape(64, 1))
sampler = ResumableDistributedSampler(data, batch_size=4)
model = DistributedDataParallel(torch.nn.Linear(1, 16))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-5, momentum=0.9)
step = 0
executor = ThreadPoolExecutor(max_workers=1)
written: list[Future[None]] = []


def save() -> None:
    for write_before in written:
        write_before.result()
    state = {"model": model.module, "optimizer": optimizer, "sampler": sampler}
    copied = copy.deepcopy({name: part.state_dict() for name, part in state.items()} | {"step": step})
    written[:] = [executor.submit(write, copied, Path(f"step-{step:04d}.pt"))]


def write(state: dict[str, Any], path: Path) -> None:
    time.sleep(0.03)  # a disk that is slower than a step
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)


newest = max(Path().glob("step-*.pt"), default=None)
dist.barrier()
if newest is not None:
    state = torch.load(newest)
    model.module.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    sampler.load_state_dict(state["sampler"])
    step = state["step"]
for epoch in range(sampler.epoch, 3):
    sampler.set_epoch(epoch)
    for (x,) in DataLoader(data, batch_size=4, sampler=sampler):
        optimizer.zero_grad()
        model(x).mean().backward()
        optimizer.step()
        sampler.commit()
        step += 1
        time.sleep(0.02)  # training goes on for a step or two before the thread begins to write
        if step % 4 == 0 and dist.get_rank() == 0:
            save()
executor.shutdown()
dist.barrier()
