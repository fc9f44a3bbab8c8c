"""A job that checkpoints with `torch.distributed.checkpoint`."""

from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

from samplers import ResumableDistributedSampler, as_dcp

dist.init_process_group("gloo")
torch.manual_seed(0)
data = TensorDataset(torch.arange(64.0).reshape(64, 1))
sampler = ResumableDistributedSampler(data, batch_size=4)
model = DistributedDataParallel(torch.nn.Linear(1, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
state = {"model": model.module.state_dict(), "sampler": as_dcp(sampler)}
whole = sorted(folder for folder in Path().glob("step-*") if (folder / ".metadata").exists())
step = 0
if whole:
    dcp.load(state, checkpoint_id=whole[-1])
    model.module.load_state_dict(state["model"])
    step = int(whole[-1].name.removeprefix("step-"))
for epoch in range(sampler.epoch, 3):
    sampler.set_epoch(epoch)
    for (x,) in DataLoader(data, batch_size=4, sampler=sampler):
        optimizer.zero_grad()
        model(x).mean().backward()
        optimizer.step()
        sampler.commit()
        step += 1
        if step % 4 == 0:
            state = {"model": model.module.state_dict(), "sampler": as_dcp(sampler)}
            dcp.save(state, checkpoint_id=f"step-{step:04d}")
