"""A job over a stream that is made of others: `mixture`, or `budget`, in which batches are cut by a budget of tokens."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import ConcatDataset, Dataset

from resumable.samplers import (
    Blocks,
    Endless,
    Mixture,
    ResumableBatchSampler,
    ResumableDataLoader,
    ResumableDistributedSampler,
    TokenBatches,
)

NUM_STEPS = 30


class Texts(Dataset):
    def __init__(self, start, length):
        self.start, self.length = start, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return torch.full((4,), float(self.start + index))


dist.init_process_group("gloo")
torch.manual_seed(1)
model = DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
data = ConcatDataset([Texts(0, 600), Texts(600, 300)])
mixture = Mixture([600, 300], [1, 2], order=[Blocks(16, window=4), "randperm"])
if sys.argv[1] == "budget":
    budget = TokenBatches([1 + sample % 30 for sample in range(900)], 120, block_size=128)
    sampler = ResumableDistributedSampler(data, seed=3, order=Blocks(16, window=4), groups=budget)
else:
    sampler = ResumableDistributedSampler(data, seed=3, order=Endless(mixture), batch_size=24 // dist.get_world_size())
loader = ResumableDataLoader(data, batch_sampler=ResumableBatchSampler(sampler))
checkpoint, step = Path("latest.pt"), 0
if checkpoint.exists():
    state = torch.load(checkpoint)
    model.load_state_dict(state["model"])
    loader.load_state_dict(state["loader"])
    step = state["step"]
while step < NUM_STEPS and (sys.argv[1] == "mixture" or sampler.remaining):
    for batch in loader:
        optimizer.zero_grad()
        model(batch).mean().backward()
        optimizer.step()
        step += 1
        if dist.get_rank() == 0:
            torch.save({"model": model.state_dict(), "loader": loader.state_dict(), "step": step}, "latest.tmp")
            Path("latest.tmp").replace(checkpoint)
        dist.barrier()
        if sys.argv[1] == "mixture" and step == NUM_STEPS:
            break
