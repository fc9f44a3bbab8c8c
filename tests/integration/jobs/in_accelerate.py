"""An accelerate loop that saves every five steps and skips after a restart as the library's guide says.

With `--resumable` its loader is ours, which skips nothing and is saved with the rest.
"""

import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, Dataset

from resumable.samplers import ResumableDataLoader, ResumableDistributedSampler


class Numbers(Dataset):
    def __len__(self):
        return 200

    def __getitem__(self, index):
        return torch.tensor([float(index)])


def loader_of(accelerator, data):
    if "--resumable" not in sys.argv:
        return DataLoader(data, batch_size=4, shuffle=True)
    ranks = accelerator.num_processes, accelerator.process_index
    return ResumableDataLoader(data, batch_size=4, sampler=ResumableDistributedSampler(data, *ranks, batch_size=4))


torch.manual_seed(0)
accelerator = Accelerator(cpu=True)
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader_of(accelerator, Numbers()))
saved = sorted(folder for folder in Path().glob("step-*") if (folder / "done").exists())
step = 0
if saved:
    accelerator.load_state(saved[-1].absolute())
    step = int(saved[-1].name.removeprefix("step-"))
for epoch in range(step // len(loader), 3):
    is_skipping = "--resumable" not in sys.argv and step % len(loader) and epoch == step // len(loader)
    batches = accelerator.skip_first_batches(loader, step % len(loader)) if is_skipping else loader
    if hasattr(loader, "set_epoch"):
        loader.set_epoch(epoch)
    for batch in batches:
        accelerator.backward(model(batch / 200).square().mean())
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        if step % 5 == 0:
            folder = Path(f"step-{step:04d}")
            accelerator.save_state(folder.absolute())
            accelerator.wait_for_everyone()
            (folder / "done").touch()
