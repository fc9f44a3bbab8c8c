"""A training loop as accelerate's users write it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.state import AcceleratorState, GradientState
from torch.utils.data import Dataset

from resumable.samplers import ResumableDataLoader, ResumableDistributedSampler

__all__ = ["DataLoaderConfiguration"]

NUM_EPOCHS = 3


class Numbers(Dataset[torch.Tensor]):
    """Sample `i` is `i`."""

    def __len__(self) -> int:
        return 46

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor(float(index))


def accelerator_of(rank: int, num_ranks: int, **options: Any) -> Accelerator:
    """What `accelerate launch` makes of a rank."""
    os.environ.update(RANK=f"{rank}", LOCAL_RANK=f"{rank}", WORLD_SIZE=f"{num_ranks}", LOCAL_WORLD_SIZE=f"{num_ranks}")
    os.environ["OMP_NUM_THREADS"] = "1"
    # Accelerators of one process share their state: one may have been left behind by the process that forked this rank.
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    return Accelerator(cpu=True, **options)


def loader_of(accelerator: Accelerator, **options: Any) -> ResumableDataLoader[torch.Tensor]:
    """This rank's loader, of 12 batches an epoch on one rank and 6 on two."""
    data = Numbers()
    sampler = ResumableDistributedSampler(
        data, accelerator.num_processes, accelerator.process_index, seed=3, batch_size=4
    )
    return ResumableDataLoader(data, sampler=sampler, **options)


def steps(
    accelerator: Accelerator, loader: Any, checkpoint: Path | None = None, *, names_epochs: bool = True
) -> Iterator[Any]:
    """Train from the start or from a checkpoint, and tell each step's epoch, samples and whether it applied gradients."""
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    if checkpoint is not None:
        accelerator.load_state(checkpoint)
    for epoch in range(loader.sampler.epoch + (loader.sampler.remaining == 0), NUM_EPOCHS):
        if names_epochs:
            loader.set_epoch(epoch)
        for batch in loader:
            with accelerator.accumulate(model):
                accelerator.backward(model(batch[:, None]).mean())
                optimizer.step()
                optimizer.zero_grad()
            yield epoch, batch.tolist(), accelerator.sync_gradients
