"""torch's ElasticDistributedSampler, which begins at `start_index`: the number of samples that were trained on."""

from pathlib import Path

import torch
import torch.distributed as dist
from task import BATCH_SIZE, NUM_EPOCHS, SAVE_EVERY, Numbers, loss_of, network, optimizer_of, options
from torch.distributed.elastic.utils.data.elastic_distributed_sampler import ElasticDistributedSampler
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

CHECKPOINT = Path("checkpoint.pt")

arguments = options()
dist.init_process_group("gloo")
module = network()
model = DistributedDataParallel(module)
optimizer = optimizer_of(model)
data = Numbers(arguments.augment)
first_epoch, num_samples = 0, 0
if CHECKPOINT.exists():
    checkpoint = torch.load(CHECKPOINT)
    module.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    first_epoch, num_samples = checkpoint["epoch"], checkpoint["num_samples"]
torch.manual_seed(dist.get_rank())
step = 0
for epoch in range(first_epoch, NUM_EPOCHS):
    sampler = ElasticDistributedSampler(
        data, start_index=num_samples
    )  # one for each epoch: later ones would stay short
    sampler.set_epoch(epoch)
    for batch in DataLoader(data, batch_size=BATCH_SIZE, sampler=sampler, num_workers=arguments.workers):
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()
        step += 1
        num_samples += BATCH_SIZE * dist.get_world_size()
        if step % SAVE_EVERY == 0:
            if dist.get_rank() == 0:
                states = {"model": module.state_dict(), "optimizer": optimizer.state_dict()}
                draft = CHECKPOINT.with_suffix(".draft")
                torch.save({**states, "epoch": epoch, "num_samples": num_samples}, draft)
                draft.replace(CHECKPOINT)
            dist.barrier()
    num_samples = 0
dist.destroy_process_group()
