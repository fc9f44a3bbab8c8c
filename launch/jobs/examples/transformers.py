"""A transformers Trainer that goes on with exactly the next batch, wherever it was killed.

resumable verify --nproc-per-node 2 train.py --epochs 2
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainerState, TrainingArguments

from resumable.samplers import ResumableDataLoader, ResumableDistributedSampler
from resumable.samplers.frameworks.transformers_adapter import TrainerPosition

FOLDER = Path("checkpoints")
"""In the working directory; `resumable verify` gives each run one of its own."""


class Model(nn.Module):
    """A small classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 4))

    def forward(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The loss of one batch."""
        return {"loss": nn.functional.cross_entropy(self.network(inputs), labels)}


class ExactTrainer(Trainer):
    """Its loader knows its place; the callback `TrainerPosition` saves that with each checkpoint."""

    def get_train_dataloader(self) -> ResumableDataLoader[Any]:
        """Made here, where the rank is known."""
        args, data = self.args, self.train_dataset
        size = args.per_device_train_batch_size
        sampler = ResumableDistributedSampler(data, args.world_size, args.process_index, batch_size=size)
        return ResumableDataLoader(data, sampler=sampler, collate_fn=self.data_collator)


class Whole(TrainerCallback):
    """Marks a checkpoint to which every rank has added its part: a Trainer that is killed leaves torn ones behind."""

    def on_save(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Called on all ranks, after each has saved."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            (FOLDER / f"checkpoint-{state.global_step}" / "whole").touch()


def newest() -> str | None:
    """The last checkpoint that is whole."""
    found = [file.parent for file in FOLDER.glob("checkpoint-*/whole")]
    return str(max(found, key=lambda folder: int(folder.name.rpartition("-")[2]))) if found else None


def main() -> None:
    """Train, saving after every fifth step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    args = TrainingArguments(
        output_dir=str(FOLDER),
        num_train_epochs=parser.parse_args().epochs,
        per_device_train_batch_size=8,
        learning_rate=1e-3,
        save_steps=5,
        use_cpu=True,
        ddp_find_unused_parameters=False,
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )
    drawn = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(256, 16, generator=drawn), torch.randint(0, 4, (256,), generator=drawn)
    data = [{"inputs": image, "labels": label} for image, label in zip(inputs, labels, strict=True)]
    torch.manual_seed(0)  # the same first weights on every rank
    model = Model()
    torch.manual_seed(1 + args.process_index)  # but dropout of its own
    trainer = ExactTrainer(model, args, train_dataset=data, callbacks=[TrainerPosition(), Whole()])
    trainer.train(resume_from_checkpoint=newest())


if __name__ == "__main__":
    main()
