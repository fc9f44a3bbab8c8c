"""Trains on a slice of the samples: what an epoch has left, in a data set of its own; indices begin at 0 again."""

import argparse
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

BATCH_SIZE, NUM_BATCHES, NUM_EPOCHS = 4, 8, 3
CHECKPOINT = Path("sliced.pt")

parser = argparse.ArgumentParser()
parser.add_argument("--late", type=int, default=0, help="batches too far that a slice begins")
options = parser.parse_args()

dist.init_process_group("gloo")
rank, world_size = dist.get_rank(), dist.get_world_size()
torch.manual_seed(0)
samples = torch.randn(BATCH_SIZE * NUM_BATCHES * world_size, 4)
model = DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
step = 0
if CHECKPOINT.exists():
    state = torch.load(CHECKPOINT)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    step = state["step"]

for epoch in range(step // NUM_BATCHES, NUM_EPOCHS):
    done = step - epoch * NUM_BATCHES
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(epoch))[rank::world_size]
    rest = samples[order][(done + options.late if done else 0) * BATCH_SIZE :]
    for (batch,) in DataLoader(TensorDataset(rest), batch_size=BATCH_SIZE):
        model(batch).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        if rank == 0 and step % 3 == 0:
            new = CHECKPOINT.with_suffix(".new")
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, new)
            new.rename(CHECKPOINT)
