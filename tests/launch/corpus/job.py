"""The job whose runs lie in this folder: twelve numbers to learn, one loop for each kind of job. `record.py` runs it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

KIND = sys.argv[1]
CHECKPOINT = Path("checkpoint.pt")
NUM_EPOCHS = 2
NUM_SAMPLES = 16
BATCH_SIZE = 2

dist.init_process_group("gloo")
rank, world_size = dist.get_rank(), dist.get_world_size()
torch.manual_seed(0)
model = DistributedDataParallel(torch.nn.Linear(3, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
features = torch.randn(NUM_SAMPLES, 3, generator=torch.Generator().manual_seed(1))
data = TensorDataset(features, features.sum(dim=1, keepdim=True))
progress = {"consumed": 0}
"""Samples of all ranks since training began."""
if CHECKPOINT.exists():
    saved = torch.load(CHECKPOINT)
    model.load_state_dict(saved["model"])
    if KIND != "optimizer-forgotten":
        optimizer.load_state_dict(saved["optimizer"])
    progress = saved["progress"]


def save() -> None:
    if rank == 0:
        draft = CHECKPOINT.with_suffix(".new")
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "progress": progress}, draft)
        draft.replace(CHECKPOINT)
    dist.barrier()


class Remaining(DistributedSampler):
    """The rest of the first epoch, dealt out to however many ranks there are."""

    def __init__(self, *, done: int, seed: int = 0) -> None:
        super().__init__(data, seed=seed)
        self.done = done

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(NUM_SAMPLES, generator=generator).tolist()
        done, self.done = self.done, 0
        return iter(order[done:][rank::world_size])


def learn(batches: list[list[torch.Tensor]]) -> None:
    """One optimizer step."""
    for inputs, targets in batches:
        loss = torch.nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    progress["consumed"] += sum(len(inputs) for inputs, _ in batches) * world_size
    if (progress["consumed"] // (BATCH_SIZE * world_size * len(batches))) % 2 == 0:
        save()


def plain(num_accumulated: int = 1) -> None:
    first, offset = divmod(progress["consumed"], NUM_SAMPLES)
    sampler = Remaining(done=0 if KIND == "epoch-restarted" else offset)
    loader = DataLoader(data, batch_size=BATCH_SIZE, sampler=sampler)
    for epoch in range(first, NUM_EPOCHS):
        sampler.set_epoch(0 if KIND == "sampler-epoch-forgotten" and first else epoch)
        batches = []
        for batch in loader:
            if KIND == "hang" and epoch == 1 and offset:
                time.sleep(3600)
            batches.append(batch)
            if len(batches) == num_accumulated:
                learn(batches)
                batches = []


def two_loaders() -> None:
    """One batch of each in every step; the second task has an order of its own."""
    first, offset = divmod(progress["consumed"] // 2, NUM_SAMPLES)
    samplers = [Remaining(done=offset, seed=seed) for seed in (0, 10)]
    loaders = [DataLoader(data, batch_size=BATCH_SIZE, sampler=sampler) for sampler in samplers]
    for epoch in range(first, NUM_EPOCHS):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        for pair in zip(*loaders, strict=True):
            learn(list(pair))


def inputs_only() -> None:
    """No loader: the loop slices a tensor itself."""
    inputs, targets = data.tensors
    for start in range(progress["consumed"], NUM_EPOCHS * NUM_SAMPLES, BATCH_SIZE * world_size):
        own = [(start + rank * BATCH_SIZE + number) % NUM_SAMPLES for number in range(BATCH_SIZE)]
        learn([[inputs[own], targets[own]]])


LOOPS = {"two-loaders": two_loaders, "inputs": inputs_only, "accumulation": lambda: plain(2)}
LOOPS.get(KIND, plain)()
dist.destroy_process_group()
