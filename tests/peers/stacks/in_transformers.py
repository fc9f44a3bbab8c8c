"""transformers' Trainer with `resume_from_checkpoint`, as its page on the Trainer says."""

from pathlib import Path

from task import BATCH_SIZE, NUM_EPOCHS, SAVE_EVERY, Numbers, loss_of, network, optimizer_of, options
from torch import nn
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = network()

    def forward(self, value):
        return {"loss": loss_of(self.network, value)}


class Named(Numbers):
    def __getitem__(self, index):
        return {"value": super().__getitem__(index)}


given = options()
arguments = TrainingArguments(
    output_dir="saved",
    num_train_epochs=NUM_EPOCHS,
    per_device_train_batch_size=BATCH_SIZE,
    save_steps=SAVE_EVERY,
    dataloader_num_workers=given.workers,
    remove_unused_columns=False,
    report_to=[],
    disable_tqdm=True,
    use_cpu=True,
    ddp_backend="gloo",
)
model = Model()
trainer = Trainer(model, arguments, train_dataset=Named(given.augment), optimizers=(optimizer_of(model), None))
trainer.train(resume_from_checkpoint=get_last_checkpoint("saved") if Path("saved").exists() else None)
