"""This project's own loader and sampler."""

from pathlib import Path

import torch
import torch.distributed as dist
from task import BATCH_SIZE, NUM_EPOCHS, SAVE_EVERY, Numbers, loss_of, network, optimizer_of, options
from torch.nn.parallel import DistributedDataParallel

from resumable.samplers import ResumableDataLoader, ResumableDistributedSampler, SeededDataset

CHECKPOINT = Path("checkpoint.pt")

arguments = options()
dist.init_process_group("gloo")
module = network()
model = DistributedDataParallel(module)
optimizer = optimizer_of(model)
data = SeededDataset(Numbers(arguments.augment), seed=0)
sampler = ResumableDistributedSampler(data, batch_size=BATCH_SIZE)
loader = ResumableDataLoader(data, batch_size=BATCH_SIZE, sampler=sampler, num_workers=arguments.workers)
parts = {"model": module, "optimizer": optimizer, "loader": loader}
step = 0
if CHECKPOINT.exists():
    checkpoint = torch.load(CHECKPOINT)
    for name, part in parts.items():
        part.load_state_dict(checkpoint[name])
    step = checkpoint["step"]
for epoch in range(sampler.epoch, NUM_EPOCHS):
    loader.set_epoch(epoch)
    for batch in loader:
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()
        step += 1
        if step % SAVE_EVERY == 0:
            if dist.get_rank() == 0:
                draft = CHECKPOINT.with_suffix(".draft")
                torch.save({**{name: part.state_dict() for name, part in parts.items()}, "step": step}, draft)
                draft.replace(CHECKPOINT)
            dist.barrier()
dist.destroy_process_group()
