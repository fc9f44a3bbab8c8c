"""A general checkpoint every few steps, as PyTorch's recipe has it; three ways to go on inside an epoch.

epoch: from the epoch's beginning. skip: batches that were trained on are fetched and passed over. random: the same, and then
each rank's random state is restored.
"""

from pathlib import Path

import torch
import torch.distributed as dist
from task import BATCH_SIZE, NUM_EPOCHS, SAVE_EVERY, Numbers, loss_of, network, optimizer_of, options
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

CHECKPOINT = Path("checkpoint.pt")


def save(epoch, num_batches):
    random_states = [None] * dist.get_world_size()
    dist.all_gather_object(random_states, torch.get_rng_state())
    if dist.get_rank() == 0:
        states = {"model": module.state_dict(), "optimizer": optimizer.state_dict()}
        place = {"epoch": epoch, "num_batches": num_batches, "random": random_states}
        torch.save({**states, **place}, CHECKPOINT.with_suffix(".draft"))
        CHECKPOINT.with_suffix(".draft").replace(CHECKPOINT)
    dist.barrier()


arguments = options("epoch", "skip", "random")
dist.init_process_group("gloo")
module = network()
model = DistributedDataParallel(module)
optimizer = optimizer_of(model)
data = Numbers(arguments.augment)
sampler = DistributedSampler(data)
loader = DataLoader(data, batch_size=BATCH_SIZE, sampler=sampler, num_workers=arguments.workers)
torch.manual_seed(dist.get_rank())
first_epoch, num_done = 0, 0
if CHECKPOINT.exists():
    checkpoint = torch.load(CHECKPOINT)
    module.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    first_epoch, num_done = checkpoint["epoch"], checkpoint["num_batches"]
for epoch in range(first_epoch, NUM_EPOCHS):
    sampler.set_epoch(epoch)
    for number, batch in enumerate(loader):
        if arguments.way != "epoch" and epoch == first_epoch and number < num_done:
            if arguments.way == "random" and number + 1 == num_done and dist.get_rank() < len(checkpoint["random"]):
                torch.set_rng_state(checkpoint["random"][dist.get_rank()])
            continue
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()
        if (number + 1) % SAVE_EVERY == 0:
            save(epoch, number + 1)
dist.destroy_process_group()
