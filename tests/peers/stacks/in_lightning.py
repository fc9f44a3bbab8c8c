"""Lightning's Trainer with a checkpoint every few steps and `ckpt_path`, as its pages on checkpointing say.

plain: with torch's DataLoader. stateful: with torchdata's StatefulDataLoader, whose state Lightning saves.
"""

import os
from pathlib import Path

import lightning.pytorch as pl
from task import BATCH_SIZE, NUM_EPOCHS, SAVE_EVERY, Numbers, loss_of, network, optimizer_of, options
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

LOADERS = {"plain": DataLoader, "stateful": StatefulDataLoader}


class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = network()

    def training_step(self, batch, _):
        return loss_of(self.network, batch)

    def configure_optimizers(self):
        return optimizer_of(self)


arguments = options(*LOADERS)
pl.seed_everything(0, workers=True)
trainer = pl.Trainer(
    max_epochs=NUM_EPOCHS,
    accelerator="cpu",
    devices=int(os.environ["WORLD_SIZE"]),
    strategy="ddp",
    logger=False,
    callbacks=[pl.callbacks.ModelCheckpoint(dirpath="saved", every_n_train_steps=SAVE_EVERY, save_top_k=-1)],
    enable_progress_bar=False,
    enable_model_summary=False,
)
loader = LOADERS[arguments.way](
    Numbers(arguments.augment), batch_size=BATCH_SIZE, shuffle=True, num_workers=arguments.workers
)
saved = sorted(Path("saved").glob("*.ckpt"), key=lambda file: file.stat().st_mtime_ns)
trainer.fit(Module(), loader, ckpt_path=saved[-1] if saved else None)
