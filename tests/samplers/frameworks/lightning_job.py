"""A training job as Lightning's users write it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.utils.data import DataLoader, Dataset

from resumable.samplers import Order, ResumableDataLoader, ResumableDistributedSampler, ResumableSampler
from resumable.samplers.orders import OrderLike
from resumable.samplers.orders.stream import Positions

NUM_EPOCHS = 3


class Numbers(Dataset[torch.Tensor]):
    """Sample `i` is `i`."""

    def __len__(self) -> int:
        return 46

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor(float(index))


class Model(lightning.LightningModule):
    """Notes what it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)
        self.steps: list[tuple[int, int, list[float]]] = []

    def training_step(self, batch: torch.Tensor, number: int) -> torch.Tensor:
        """Note epoch, number and samples of the batch."""
        self.steps.append((self.trainer.current_epoch, number, batch.tolist()))
        return self.linear(batch[:, None]).mean()

    def validation_step(self, batch: torch.Tensor, number: int) -> None:
        """Be there, so that validation passes run between training batches."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.SGD(self.parameters(), 1e-3)


class Position(Callback):
    """Keeps a sampler's position in Lightning's checkpoints, for a loader that has no state of its own."""

    def __init__(self, sampler: ResumableSampler) -> None:
        self._sampler = sampler
        self.state_dict = sampler.state_dict
        self.load_state_dict = sampler.load_state_dict

    def on_train_batch_end(self, *_: Any) -> None:
        """Count the batch that was trained on."""
        self._sampler.commit()


def as_rank(rank: int, num_ranks: int) -> None:
    """Tell Lightning that torchrun has started this process."""
    os.environ.update(
        TORCHELASTIC_RUN_ID="job",
        RANK=f"{rank}",
        LOCAL_RANK=f"{rank}",
        WORLD_SIZE=f"{num_ranks}",
        LOCAL_WORLD_SIZE=f"{num_ranks}",
        GROUP_RANK="0",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT="0",
    )


class Backwards(Order):
    """An order of the user's own."""

    name = "backwards/1"

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> "Backwards.Stream":
        """Return the samples from the last one on."""
        return self.Stream(num_samples, epoch)

    class Stream:
        """Those of one epoch, each of which begins one sample later."""

        def __init__(self, num_samples: int, epoch: int) -> None:
            self._num_samples, self._epoch = num_samples, epoch

        def at(self, positions: Positions) -> Positions:
            """Return the samples at positions."""
            return (self._num_samples - 1 - self._epoch - positions) % self._num_samples


def sampler_of(rank: int, num_ranks: int, order: OrderLike = "randperm") -> ResumableDistributedSampler:
    """This rank's sampler, of 12 batches an epoch on one rank and 6 on two."""
    return ResumableDistributedSampler(Numbers(), num_ranks, rank, seed=3, batch_size=4, order=order)


def train(
    loader: DataLoader[Any],
    *,
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | None = None,
    checkpoints: Path | None = None,
    **options: Any,
) -> list[tuple[int, int, list[float]]]:
    """Train to the end, from the start or from a checkpoint, and tell what each step was trained on."""
    model = Model()
    # One after each batch, as `step=K.ckpt`, and one after each epoch, as `epoch=E.ckpt`.
    writers = [
        ModelCheckpoint(checkpoints, filename="{step}", save_top_k=-1, every_n_train_steps=1),
        ModelCheckpoint(checkpoints, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=True),
    ]
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=NUM_EPOCHS,
        callbacks=[*callbacks, *(writers if checkpoints else ())],
        enable_checkpointing=checkpoints is not None,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(model, loader, DataLoader(Numbers(), batch_size=23), ckpt_path=checkpoint)
    return model.steps


def fabric_steps(rank: int, num_ranks: int, stop: int, checkpoint: Path, *, resume: bool) -> list[list[float]]:
    """Train with Fabric and save after `stop` batches, or go on from there; tell what was trained on."""
    fabric = lightning.Fabric(accelerator="cpu", devices=num_ranks, strategy="ddp")
    fabric.launch()
    loader = ResumableDataLoader(Numbers(), sampler=sampler_of(rank, num_ranks), num_workers=2)
    state = {"model": fabric.setup(torch.nn.Linear(1, 1)), "loader": loader}
    if resume:
        fabric.load(checkpoint, state)
    batches = []
    for epoch in range(loader.sampler.epoch, NUM_EPOCHS):
        loader.set_epoch(epoch)
        for batch in loader:
            batches.append(fabric.to_device(batch).tolist())
            if len(batches) == stop and not resume:
                fabric.save(checkpoint, state)
    return batches
