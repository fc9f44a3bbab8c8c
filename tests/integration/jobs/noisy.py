"""A job whose numbers do not repeat, as on most GPUs: its batches go on exactly, its gradients have noise in them.

    noisy.py [--lose momentum|bias|buffer|scale|schedule]

`--lose` is careless: that part of the state is saved and not brought back.
"""

import argparse
import random
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

from resumable.samplers import ResumableDistributedSampler

NUM_EPOCHS, SAVE_EVERY = 3, 2

parser = argparse.ArgumentParser()
parser.add_argument("--lose", choices=["momentum", "bias", "buffer", "scale", "schedule"])
lost = parser.parse_args().lose
dist.init_process_group("gloo")
torch.manual_seed(0)
features = torch.randn(64, 6)
data = TensorDataset(features, features.sum(dim=1, keepdim=True))
sampler = ResumableDistributedSampler(data, batch_size=4)
normalise = torch.nn.BatchNorm1d(8)
network = torch.nn.Sequential(torch.nn.Linear(6, 8), normalise, torch.nn.ReLU(), torch.nn.Linear(8, 1))
model = DistributedDataParallel(network)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda count: 0.97**count)
scaler = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=3)
noise = random.SystemRandom()
checkpoint = Path("checkpoint.pt")
step = 0


def state() -> dict[str, Any]:
    return {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "scaler": scaler.state_dict(),
        "sampler": sampler.state_dict(),
        "step": step,
    }


if checkpoint.exists():
    loaded = torch.load(checkpoint)
    fresh = {"scheduler": scheduler.state_dict(), "optimizer": optimizer.state_dict()}
    network.load_state_dict(loaded["model"])
    if lost == "bias":
        torch.nn.init.zeros_(network.get_parameter("3.bias"))
    if lost == "buffer":
        normalise.reset_running_stats()
    optimizer.load_state_dict(fresh["optimizer"] if lost == "momentum" else loaded["optimizer"])
    scheduler.load_state_dict(fresh["scheduler"] if lost == "schedule" else loaded["scheduler"])
    if lost != "scale":
        scaler.load_state_dict(loaded["scaler"])
    sampler.load_state_dict(loaded["sampler"])
    step = loaded["step"]
for epoch in range(sampler.epoch, NUM_EPOCHS):
    sampler.set_epoch(epoch)
    for x, y in DataLoader(data, batch_size=4, sampler=sampler):
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean() * (1 + 1e-3 * noise.random())
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        sampler.commit()
        step += 1
        if step % SAVE_EVERY == 0 and dist.get_rank() == 0:
            torch.save(state(), "checkpoint.tmp")
            Path("checkpoint.tmp").replace(checkpoint)
        dist.barrier()
