"""A job that augments its samples; with `--seeded` the augmentation depends on seed, epoch and index alone."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from resumable.samplers import ResumableDataLoader, ResumableDistributedSampler, SeededDataset


class Noisy(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        return torch.full((4,), float(index)) + torch.rand(4)


dist.init_process_group("gloo")
torch.manual_seed(1)
model = DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
data = SeededDataset(Noisy(), seed=3) if "--seeded" in sys.argv else Noisy()
sampler = ResumableDistributedSampler(data, batch_size=4)
loader = ResumableDataLoader(data, sampler=sampler, batch_size=4)
checkpoint = Path("latest.pt")
if checkpoint.exists():
    state = torch.load(checkpoint)
    model.load_state_dict(state["model"])
    loader.load_state_dict(state["loader"])
for epoch in range(sampler.epoch, 3):
    sampler.set_epoch(epoch)
    for batch in loader:
        optimizer.zero_grad()
        model(batch).mean().backward()
        optimizer.step()
        if dist.get_rank() == 0:
            torch.save({"model": model.state_dict(), "loader": loader.state_dict()}, "latest.tmp")
            Path("latest.tmp").replace(checkpoint)
        dist.barrier()
