"""A Lightning trainer that goes on with exactly the next batch, wherever it was killed.

resumable verify --nproc-per-node 2 train.py --epochs 2
"""

import argparse
import os
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from resumable.samplers import ResumableDataLoader, ResumableDistributedSampler

FOLDER = Path("checkpoints")
"""In the working directory; `resumable verify` gives each run one of its own."""


class RandomState(Callback):
    """Keeps dropout going where it was: every rank's random state travels with the checkpoint."""

    own: Tensor | None = None

    def on_save_checkpoint(self, trainer: Any, _: Any, checkpoint: dict[str, Any]) -> None:
        """Add what every rank has; Lightning calls this on all of them."""
        checkpoint["random"] = trainer.strategy.all_gather(torch.get_rng_state()).reshape(trainer.world_size, -1)

    def on_load_checkpoint(self, trainer: Any, _: Any, checkpoint: dict[str, Any]) -> None:
        """Keep it until training starts: Lightning draws numbers of its own before."""
        if len(checkpoint["random"]) == trainer.world_size:
            self.own = checkpoint["random"][trainer.global_rank].cpu().clone()

    def on_train_start(self, *_: Any) -> None:
        """Go on from it."""
        if self.own is not None:
            torch.set_rng_state(self.own)


class Model(lightning.LightningModule):
    """A small classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 4))

    def train_dataloader(self) -> ResumableDataLoader[tuple[Tensor, ...]]:
        """Made here, where the trainer knows the rank; Lightning saves its position with every checkpoint."""
        drawn = torch.Generator().manual_seed(0)
        data = TensorDataset(torch.randn(256, 16, generator=drawn), torch.randint(0, 4, (256,), generator=drawn))
        sampler = ResumableDistributedSampler(data, self.trainer.world_size, self.trainer.global_rank, batch_size=8)
        return ResumableDataLoader(data, batch_size=8, sampler=sampler)

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        """The loss of one batch."""
        inputs, targets = batch
        return nn.functional.cross_entropy(self.network(inputs), targets)

    def configure_optimizers(self) -> Any:
        """With a schedule that counts steps."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def main() -> None:
    """Train, saving after every fifth step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    epochs = parser.parse_args().epochs
    torch.manual_seed(0)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=int(os.environ.get("WORLD_SIZE", "1")),
        strategy="ddp",
        logger=False,
        enable_progress_bar=False,
        callbacks=[ModelCheckpoint(FOLDER, filename="{step:06d}", every_n_train_steps=5, save_top_k=-1), RandomState()],
    )
    saved = sorted(FOLDER.glob("*.ckpt"))
    trainer.fit(Model(), ckpt_path=saved[-1] if saved else None)


if __name__ == "__main__":
    main()
