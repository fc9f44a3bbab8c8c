"""A snapshot at the end of each epoch, as in PyTorch's tutorial "Fault-tolerant Distributed Training with torchrun"."""

from pathlib import Path

import torch
import torch.distributed as dist
from task import BATCH_SIZE, NUM_EPOCHS, Numbers, loss_of, network, options
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

SNAPSHOT = Path("snapshot.pt")

arguments = options()
dist.init_process_group("gloo")
module = network()
optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
epochs_run = 0
if SNAPSHOT.exists():
    snapshot = torch.load(SNAPSHOT)
    module.load_state_dict(snapshot["MODEL_STATE"])
    epochs_run = snapshot["EPOCHS_RUN"]
model = DistributedDataParallel(module)
data = Numbers(arguments.augment)
sampler = DistributedSampler(data)
loader = DataLoader(data, batch_size=BATCH_SIZE, sampler=sampler, num_workers=arguments.workers)
for epoch in range(epochs_run, NUM_EPOCHS):
    sampler.set_epoch(epoch)
    for batch in loader:
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()
    if dist.get_rank() == 0:
        torch.save({"MODEL_STATE": module.state_dict(), "EPOCHS_RUN": epoch}, SNAPSHOT)
dist.destroy_process_group()
