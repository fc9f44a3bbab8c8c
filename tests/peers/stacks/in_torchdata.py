"""torchdata's StatefulDataLoader with its StatefulDistributedSampler; each rank's own state is saved and loaded.

plain: with `torch.save`. dcp: through a distributed checkpoint, one entry for each rank, as torchtitan does.
"""

import pickle
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from task import BATCH_SIZE, NUM_EPOCHS, SAVE_EVERY, Numbers, loss_of, network, optimizer_of, options
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.stateful import Stateful
from torch.nn.parallel import DistributedDataParallel
from torchdata.stateful_dataloader import StatefulDataLoader
from torchdata.stateful_dataloader.sampler import StatefulDistributedSampler

CHECKPOINT = Path("checkpoint.pt")


class Application(Stateful):
    """All that a distributed checkpoint holds."""

    def __init__(self):
        self.epoch = 0
        self._key = f"rank_{dist.get_rank()}"

    def state_dict(self):
        states = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
        return {**states, "epoch": self.epoch, self._key: pickle.dumps(loader.state_dict())}

    def load_state_dict(self, state):
        set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        self.epoch = state["epoch"]
        loader.load_state_dict(pickle.loads(state[self._key]))


def save_plain(epoch):
    loaders = [None] * dist.get_world_size()
    dist.all_gather_object(loaders, loader.state_dict())
    if dist.get_rank() == 0:
        draft = CHECKPOINT.with_suffix(".draft")
        states = {"model": module.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save({**states, "epoch": epoch, "loaders": loaders}, draft)
        draft.replace(CHECKPOINT)
    dist.barrier()


def load_plain():
    checkpoint = torch.load(CHECKPOINT, weights_only=False)
    module.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    loader.load_state_dict(checkpoint["loaders"][dist.get_rank() % len(checkpoint["loaders"])])
    return checkpoint["epoch"]


arguments = options("plain", "dcp")
dist.init_process_group("gloo")
module = network()
model = DistributedDataParallel(module)
optimizer = optimizer_of(model)
data = Numbers(arguments.augment)
sampler = StatefulDistributedSampler(data)
loader = StatefulDataLoader(data, batch_size=BATCH_SIZE, sampler=sampler, num_workers=arguments.workers)
torch.manual_seed(dist.get_rank())
application = Application()
saved = sorted(folder for folder in Path().glob("step-*") if (folder / ".metadata").exists())
first_epoch, step = 0, 0
if arguments.way == "plain" and CHECKPOINT.exists():
    first_epoch = load_plain()
elif saved:
    dcp.load({"application": application}, checkpoint_id=saved[-1])
    first_epoch, step = application.epoch, int(saved[-1].name.removeprefix("step-"))
for epoch in range(first_epoch, NUM_EPOCHS):
    sampler.set_epoch(epoch)
    for batch in loader:
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()
        step += 1
        if step % SAVE_EVERY == 0 and arguments.way == "plain":
            save_plain(epoch)
        elif step % SAVE_EVERY == 0:
            application.epoch = epoch
            dcp.save({"application": application}, checkpoint_id=f"step-{step:04d}")
dist.destroy_process_group()
