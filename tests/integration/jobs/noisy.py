"""A job whose numbers do not repeat, as on most GPUs: its batches go on exactly, its gradients have noise in them.

    noisy.py [--lose PART]

`--lose` is careless: that part of the state is not brought back.
"""

import argparse
import random
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

from resumable.samplers import ResumableDistributedSampler

NUM_EPOCHS, SAVE_EVERY = 3, 2
PARTS = (
    "momentum",
    "bias",
    "buffer",
    "scale",
    "schedule",
    "setting",
    "rate",
    "frozen",
    "count",
    "centre",
    "average",
    "generator",
)


class Centred(nn.Module):
    """Moves what comes by a running mean, and drops some of it.

    No checkpoint holds the mean, nor a table that forward passes make anew.
    """

    mean: Tensor
    num_batches: Tensor
    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, buffer in (("mean", torch.zeros(8)), ("num_batches", torch.zeros(2)), ("table", torch.zeros(4))):
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.table.copy_(torch.arange(4.0))
        if self.training:
            self.num_batches += 1
            self.mean.lerp_(x.detach().mean(dim=0), 0.1)
        return nn.functional.dropout(x - 0.1 * self.mean, 0.1, self.training)


parser = argparse.ArgumentParser()
parser.add_argument("--lose", choices=PARTS)
lost = parser.parse_args().lose
dist.init_process_group("gloo")
torch.manual_seed(0)
features = torch.randn(64, 6)
data = TensorDataset(features, features.sum(dim=1, keepdim=True))
sampler = ResumableDistributedSampler(data, batch_size=4)
normalise, centred = nn.BatchNorm1d(8), Centred()
network = nn.Sequential(nn.Linear(6, 8), normalise, centred, nn.ReLU(), nn.Linear(8, 1))
checkpoint = Path("checkpoint.pt")
if lost != "frozen" or not checkpoint.exists():
    network.get_parameter("0.bias").requires_grad_(False)
average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9))
model = DistributedDataParallel(network)
groups = [{"params": network[:2].parameters(), "lr": 0.01}, {"params": network[4].parameters(), "lr": 0.005}]
optimizer = torch.optim.SGD(groups, momentum=0.9, weight_decay=1e-3)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda count: 0.97**count)
scaler = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=3)
noise = random.SystemRandom()
step = 0


def state() -> dict[str, Any]:
    return {
        "model": network.state_dict(),
        "unsaved": {name: buffer.clone() for name, buffer in centred.named_buffers()},
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "scaler": scaler.state_dict(),
        "sampler": sampler.state_dict(),
        "generator": torch.get_rng_state(),
        "step": step,
    }


def restore(loaded: dict[str, Any]) -> None:
    fresh = {"scheduler": scheduler.state_dict(), "optimizer": optimizer.state_dict()}
    network.load_state_dict(loaded["model"])
    if lost == "bias":
        nn.init.zeros_(network.get_parameter("4.bias"))
    if lost == "buffer":
        normalise.reset_running_stats()
    if lost != "count":
        centred.num_batches.copy_(loaded["unsaved"]["num_batches"])
    if lost != "centre":
        centred.mean.copy_(loaded["unsaved"]["mean"])
    if lost != "average":
        average.load_state_dict(loaded["average"])
    optimizer.load_state_dict(fresh["optimizer"] if lost == "momentum" else loaded["optimizer"])
    scheduler.load_state_dict(fresh["scheduler"] if lost == "schedule" else loaded["scheduler"])
    if lost == "setting":
        optimizer.param_groups[1]["weight_decay"] = 0.0
    if lost == "rate":
        optimizer.param_groups[1]["lr"] = optimizer.param_groups[0]["lr"]
    if lost != "scale":
        scaler.load_state_dict(loaded["scaler"])
    if lost != "generator":
        torch.set_rng_state(loaded["generator"])
    sampler.load_state_dict(loaded["sampler"])


if checkpoint.exists():
    loaded = torch.load(checkpoint)
    restore(loaded)
    step = loaded["step"]
for epoch in range(sampler.epoch, NUM_EPOCHS):
    sampler.set_epoch(epoch)
    for x, y in DataLoader(data, batch_size=4, sampler=sampler, generator=torch.Generator()):
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean() * (1 + 1e-3 * noise.random())
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        average.update_parameters(network)
        scheduler.step()
        sampler.commit()
        step += 1
        if step % SAVE_EVERY == 0 and dist.get_rank() == 0:
            torch.save(state(), "checkpoint.tmp")
            Path("checkpoint.tmp").replace(checkpoint)
        dist.barrier()
