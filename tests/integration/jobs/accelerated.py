"""A job as they run on GPUs: attention, 16-bit numbers, a gradient scaler; its numbers do not repeat.

    accelerated.py --device cuda|cpu --precision bf16|fp16 [--lose momentum|bias|buffer|scale|schedule]

`--lose` is careless: that part of the state is saved and not brought back. On the host, where kernels repeat, there is noise
in the gradients.
"""

import argparse
import os
import random
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

from resumable.samplers import ResumableDistributedSampler

NUM_EPOCHS, STEPS_AN_EPOCH, BATCH, SAVE_EVERY = 3, 8, 4, 2
NUM_WORDS, LENGTH, WIDTH, NUM_HEADS = 512, 256, 128, 4


class Attention(nn.Module):
    """One block; on a GPU the backward passes of its attention and of its table add in a different order each time."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(NUM_WORDS, WIDTH)
        self.project = nn.Linear(WIDTH, 3 * WIDTH)
        self.normalise = nn.BatchNorm1d(WIDTH)
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        projected = self.project(self.table(words)).view(len(words), LENGTH, 3, NUM_HEADS, -1)
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(len(words), LENGTH, WIDTH)
        return self.head(self.normalise(attended.mean(dim=1)))


parser = argparse.ArgumentParser()
parser.add_argument("--device", choices=["cuda", "cpu"], required=True)
parser.add_argument("--precision", choices=["bf16", "fp16"], required=True)
parser.add_argument("--lose", choices=["momentum", "bias", "buffer", "scale", "schedule"])
arguments = parser.parse_args()
lost = arguments.lose
on_gpu = arguments.device == "cuda"
device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device("cpu")
if on_gpu:
    torch.cuda.set_device(device)
dist.init_process_group("nccl" if on_gpu else "gloo")
dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float16
torch.manual_seed(0)
words = torch.randint(NUM_WORDS, (dist.get_world_size() * BATCH * STEPS_AN_EPOCH, LENGTH))
data = TensorDataset(words, words.float().mean(dim=1, keepdim=True) / NUM_WORDS)
sampler = ResumableDistributedSampler(data, batch_size=BATCH)
network = Attention().to(device)
model = DistributedDataParallel(network, device_ids=[device.index] if on_gpu else None)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda count: 0.97**count)
scaler = torch.amp.GradScaler(arguments.device, init_scale=16.0, growth_interval=3)
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
    loaded = torch.load(checkpoint, map_location=device)
    fresh = {"scheduler": scheduler.state_dict(), "optimizer": optimizer.state_dict()}
    network.load_state_dict(loaded["model"])
    if lost == "bias":
        nn.init.zeros_(network.head.bias)
    if lost == "buffer":
        network.normalise.reset_running_stats()
    optimizer.load_state_dict(fresh["optimizer"] if lost == "momentum" else loaded["optimizer"])
    scheduler.load_state_dict(fresh["scheduler"] if lost == "schedule" else loaded["scheduler"])
    if lost != "scale":
        scaler.load_state_dict(loaded["scaler"])
    sampler.load_state_dict(loaded["sampler"])
    step = loaded["step"]
for epoch in range(sampler.epoch, NUM_EPOCHS):
    sampler.set_epoch(epoch)
    for x, y in DataLoader(data, batch_size=BATCH, sampler=sampler, pin_memory=on_gpu):
        optimizer.zero_grad()
        with torch.autocast(arguments.device, dtype):
            loss = (model(x.to(device, non_blocking=True)) - y.to(device, non_blocking=True)).square().mean()
        if not on_gpu:
            loss = loss * (1 + 1e-3 * noise.random())
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
