"""FSDP2 with a distributed checkpoint; batches that were trained on are passed over."""

from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from task import BATCH_SIZE, NUM_EPOCHS, SAVE_EVERY, Numbers, loss_of, network, optimizer_of, options
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.stateful import Stateful
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, DistributedSampler


class Application(Stateful):
    """All that a distributed checkpoint holds."""

    epoch = 0
    num_batches = 0

    def state_dict(self):
        states = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
        return {**states, "epoch": self.epoch, "num_batches": self.num_batches}

    def load_state_dict(self, state):
        set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        self.epoch, self.num_batches = state["epoch"], state["num_batches"]


arguments = options()
dist.init_process_group("gloo")
model = network()
fully_shard(model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
optimizer = optimizer_of(model)
data = Numbers(arguments.augment)
sampler = DistributedSampler(data)
loader = DataLoader(data, batch_size=BATCH_SIZE, sampler=sampler, num_workers=arguments.workers)
torch.manual_seed(dist.get_rank())
application = Application()
saved = sorted(folder for folder in Path().glob("epoch-*") if (folder / ".metadata").exists())
if saved:
    dcp.load({"application": application}, checkpoint_id=saved[-1])
first_epoch, num_done = application.epoch, application.num_batches
for epoch in range(first_epoch, NUM_EPOCHS):
    sampler.set_epoch(epoch)
    for number, batch in enumerate(loader):
        if epoch == first_epoch and number < num_done:
            continue
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()
        if (number + 1) % SAVE_EVERY == 0:
            application.epoch, application.num_batches = epoch, number + 1
            dcp.save({"application": application}, checkpoint_id=f"epoch-{epoch}-batch-{number + 1:02d}")
dist.destroy_process_group()
