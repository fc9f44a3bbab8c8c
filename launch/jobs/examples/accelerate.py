"""An accelerate loop that goes on with exactly the next batch, wherever it was killed.

resumable verify --nproc-per-node 2 train.py --epochs 2
"""

import argparse
import shutil
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import TensorDataset

from resumable.samplers import ResumableDataLoader, ResumableDistributedSampler

FOLDER = Path("checkpoint")
"""In the working directory; `resumable verify` gives each run one of its own."""


def save(accelerator: Accelerator, step: int) -> None:
    """Write model, optimizer, schedule, loader and each rank's random state: `save_state` knows all that was prepared."""
    draft = FOLDER.with_suffix(".draft")
    if accelerator.is_main_process:
        shutil.rmtree(draft, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(draft.absolute()))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        draft.rename(f"{FOLDER}-{step:06d}")  # there as a whole, or not at all
    accelerator.wait_for_everyone()


def load(accelerator: Accelerator) -> int:
    """Go on where the newest checkpoint was written; returns the number of steps done."""
    saved = sorted(Path().glob(f"{FOLDER}-*"))
    if not saved:
        return 0
    accelerator.load_state(str(saved[-1].absolute()))
    return int(saved[-1].name.rpartition("-")[2])


def main() -> None:
    """Train, saving after every fifth step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    epochs = parser.parse_args().epochs
    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)  # the same data and the same first weights on every rank
    data = TensorDataset(torch.randn(256, 16), torch.randint(0, 4, (256,)))
    network = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 4))
    torch.manual_seed(1 + accelerator.process_index)  # but dropout of its own
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.5)
    sampler = ResumableDistributedSampler(data, accelerator.num_processes, accelerator.process_index, batch_size=8)
    loader = ResumableDataLoader(data, batch_size=8, sampler=sampler)
    model, optimizer, schedule, loader = accelerator.prepare(network, optimizer, schedule, loader)
    step = load(accelerator)
    for epoch in range(sampler.epoch, epochs):
        loader.set_epoch(epoch)
        for inputs, targets in loader:
            optimizer.zero_grad()
            accelerator.backward(nn.functional.cross_entropy(model(inputs), targets))
            optimizer.step()
            schedule.step()
            step += 1
            if step % 5 == 0:
                save(accelerator, step)
    accelerator.print(f"trained {step} steps")
    accelerator.end_training()


if __name__ == "__main__":
    main()
