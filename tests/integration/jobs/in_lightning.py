"""A Lightning trainer that checkpoints every five steps; with `--resumable` its loader is ours, else torch's own."""

import os
import sys
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, Dataset

from resumable.samplers import ResumableDataLoader, ResumableDistributedSampler


class Numbers(Dataset):
    def __len__(self):
        return 200

    def __getitem__(self, index):
        return torch.tensor([float(index)])


class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def train_dataloader(self):
        data = Numbers()
        if "--resumable" not in sys.argv:
            return DataLoader(data, batch_size=4, shuffle=True)
        ranks = self.trainer.world_size, self.trainer.global_rank
        return ResumableDataLoader(data, batch_size=4, sampler=ResumableDistributedSampler(data, *ranks, batch_size=4))

    def training_step(self, batch, _):
        return self.layer(batch / 200).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


pl.seed_everything(0)
trainer = pl.Trainer(
    max_epochs=3,
    accelerator="cpu",
    devices=int(os.environ["WORLD_SIZE"]),
    strategy="ddp",
    logger=False,
    callbacks=[pl.callbacks.ModelCheckpoint(dirpath="saved", every_n_train_steps=5, save_top_k=-1)],
    enable_progress_bar=False,
    enable_model_summary=False,
)
saved = sorted(Path("saved").glob("*.ckpt"), key=lambda file: file.stat().st_mtime_ns)
trainer.fit(Module(), ckpt_path=saved[-1] if saved else None)
