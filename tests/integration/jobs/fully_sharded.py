"""A job that shards parameters and optimizer over all ranks (FSDP2), and checkpoints with `torch.distributed.checkpoint`.

    fully_sharded.py [--zero-moments RANK] [--noise]

`--zero-moments` is careless: after a restart the moments of one rank's shards are zeros. With `--noise` no number is
ever the same. Global batches are the same on 2, 4 and 8 ranks.
"""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, Sampler, TensorDataset

GLOBAL_BATCH, NUM_BATCHES, NUM_EPOCHS, SAVE_EVERY = 16, 4, 3, 2

parser = argparse.ArgumentParser()
parser.add_argument("--zero-moments", type=int, metavar="RANK")
parser.add_argument("--noise", action="store_true")
options = parser.parse_args()
noise = random.SystemRandom()
dist.init_process_group("gloo")
rank, world_size = dist.get_rank(), dist.get_world_size()


class Order(Sampler[list[int]]):
    """One rank's part of each global batch."""

    epoch = first = 0

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(GLOBAL_BATCH * NUM_BATCHES, generator=torch.Generator().manual_seed(self.epoch)).tolist()
        first, self.first = self.first, 0
        for number in range(first, NUM_BATCHES):
            whole = order[number * GLOBAL_BATCH : (number + 1) * GLOBAL_BATCH]
            yield whole[rank::world_size]

    def __len__(self) -> int:
        return NUM_BATCHES


torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(7, 9), torch.nn.ReLU(), torch.nn.Linear(9, 1))
for layer in (model[0], model[2]):
    fully_shard(layer)
fully_shard(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
features = torch.randn(GLOBAL_BATCH * NUM_BATCHES, 7, generator=torch.Generator().manual_seed(1))
data = TensorDataset(features, features.sum(dim=1, keepdim=True))
order = Order()
step = 0


def state() -> dict[str, Any]:
    weights, moments = get_state_dict(model, optimizer)
    return {"model": weights, "optimizer": moments, "step": torch.tensor(step)}


latest = Path("latest")
if latest.exists():
    loaded = state()
    dcp.load(loaded, checkpoint_id=latest.readlink())
    set_state_dict(model, optimizer, model_state_dict=loaded["model"], optim_state_dict=loaded["optimizer"])
    step = int(loaded["step"])
    if options.zero_moments == rank:
        for kept in optimizer.state.values():
            kept["exp_avg"].to_local().zero_()
order.first = step % NUM_BATCHES
for epoch in range(step // NUM_BATCHES, NUM_EPOCHS):
    order.epoch = epoch
    for x, y in DataLoader(data, batch_sampler=order):
        optimizer.zero_grad()
        factor = 1 + 1e-3 * noise.random() if options.noise else 1
        (factor * (model(x) - y).square().mean()).backward()
        optimizer.step()
        step += 1
        if step % SAVE_EVERY == 0:
            folder = f"step-{step}"
            dcp.save(state(), checkpoint_id=folder)
            if rank == 0:
                Path("new").symlink_to(folder)
                Path("new").replace(latest)
            dist.barrier()
