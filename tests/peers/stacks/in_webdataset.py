"""webdataset: shards split over ranks and workers, shuffled; a restart goes on with the epoch that was saved."""

from pathlib import Path

import torch
import torch.distributed as dist
import webdataset as wds
from task import BATCH_SIZE, NUM_EPOCHS, NUM_SAMPLES, SAVE_EVERY, loss_of, network, optimizer_of, options, shaken
from torch.nn.parallel import DistributedDataParallel

CHECKPOINT = Path("checkpoint.pt")
SHARDS = Path("shards")
NUM_SHARDS = 12


def write_shards():
    SHARDS.mkdir()
    for shard in range(NUM_SHARDS):
        with wds.TarWriter(str(SHARDS / f"{shard:02d}.tar")) as sink:
            for number in range(shard, NUM_SAMPLES, NUM_SHARDS):
                sink.write({"__key__": f"{number:03d}", "number.txt": str(number)})
    (SHARDS / "done").touch()


def prepared(text):
    return shaken(torch.tensor([int(text) / NUM_SAMPLES]), is_wanted=arguments.augment)


arguments = options()
dist.init_process_group("gloo")
if dist.get_rank() == 0 and not (SHARDS / "done").exists():
    write_shards()
dist.barrier()
module = network()
model = DistributedDataParallel(module)
optimizer = optimizer_of(model)
torch.manual_seed(dist.get_rank())
first_epoch = 0
if CHECKPOINT.exists():
    checkpoint = torch.load(CHECKPOINT)
    module.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    first_epoch = checkpoint["epoch"]
urls = sorted(str(path) for path in SHARDS.glob("*.tar"))
for epoch in range(first_epoch, NUM_EPOCHS):
    data = wds.WebDataset(urls, nodesplitter=wds.split_by_node, shardshuffle=NUM_SHARDS, seed=epoch, detshuffle=True)
    data = data.decode().to_tuple("number.txt").map_tuple(prepared).batched(BATCH_SIZE, partial=False)
    loader = wds.WebLoader(data, batch_size=None, num_workers=arguments.workers)
    for number, [batch] in enumerate(loader):
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()
        if (number + 1) % SAVE_EVERY == 0:
            if dist.get_rank() == 0:
                states = {"model": module.state_dict(), "optimizer": optimizer.state_dict()}
                draft = CHECKPOINT.with_suffix(".draft")
                torch.save({**states, "epoch": epoch}, draft)
                draft.replace(CHECKPOINT)
            dist.barrier()
dist.destroy_process_group()
