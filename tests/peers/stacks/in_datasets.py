"""Hugging Face `datasets` streaming: `split_dataset_by_node`, a shuffle buffer, and torchdata's StatefulDataLoader."""

from pathlib import Path

import torch
import torch.distributed as dist
from datasets import Dataset
from datasets.distributed import split_dataset_by_node
from task import BATCH_SIZE, NUM_EPOCHS, NUM_SAMPLES, SAVE_EVERY, loss_of, network, optimizer_of, options, shaken
from torch.nn.parallel import DistributedDataParallel
from torchdata.stateful_dataloader import StatefulDataLoader

CHECKPOINT = Path("checkpoint.pt")


def prepared(example):
    return {"value": shaken(torch.tensor([example["number"] / NUM_SAMPLES]), is_wanted=arguments.augment)}


def save(epoch):
    loaders = [None] * dist.get_world_size()
    dist.all_gather_object(loaders, loader.state_dict())
    if dist.get_rank() == 0:
        draft = CHECKPOINT.with_suffix(".draft")
        states = {"model": module.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save({**states, "epoch": epoch, "loaders": loaders}, draft)
        draft.replace(CHECKPOINT)
    dist.barrier()


arguments = options()
dist.init_process_group("gloo")
module = network()
model = DistributedDataParallel(module)
optimizer = optimizer_of(model)
stream = Dataset.from_dict({"number": list(range(NUM_SAMPLES))}).to_iterable_dataset(num_shards=12)
stream = stream.shuffle(seed=0, buffer_size=16)
stream = split_dataset_by_node(stream, rank=dist.get_rank(), world_size=dist.get_world_size())
stream = stream.map(prepared, remove_columns=["number"])
loader = StatefulDataLoader(stream, batch_size=BATCH_SIZE, num_workers=arguments.workers, drop_last=True)
torch.manual_seed(dist.get_rank())
first_epoch, step = 0, 0
if CHECKPOINT.exists():
    checkpoint = torch.load(CHECKPOINT, weights_only=False)
    module.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    loader.load_state_dict(checkpoint["loaders"][dist.get_rank() % len(checkpoint["loaders"])])
    first_epoch = checkpoint["epoch"]
for epoch in range(first_epoch, NUM_EPOCHS):
    stream.set_epoch(epoch)
    for batch in loader:
        optimizer.zero_grad()
        loss_of(model, batch["value"]).backward()
        optimizer.step()
        step += 1
        if step % SAVE_EVERY == 0:
            save(epoch)
dist.destroy_process_group()
