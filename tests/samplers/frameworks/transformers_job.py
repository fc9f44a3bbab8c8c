"""A training job as users of transformers' `Trainer` write it."""

import os
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, GradientState
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from resumable.samplers import ResumableBatchSampler, ResumableDataLoader, ResumableDistributedSampler
from resumable.samplers.frameworks.transformers_adapter import TrainerPosition

NUM_EPOCHS = 3


class Numbers(Dataset[dict[str, torch.Tensor]]):
    """Sample `i` is `i`."""

    def __len__(self) -> int:
        return 46

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"numbers": torch.tensor(float(index))}


class Model(torch.nn.Module):
    """Notes what it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)
        self.batches: list[list[float]] = []

    def forward(self, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        self.batches.append(numbers.tolist())
        return {"loss": self.linear(numbers[:, None]).mean()}


class Job(Trainer):
    """Its loader is ours."""

    options: dict[str, Any]

    def get_train_dataloader(self) -> ResumableDataLoader[Any]:
        args = self.args
        options = {"batch_size": args.per_device_train_batch_size} | self.options
        sampler = ResumableDistributedSampler(Numbers(), args.world_size, args.process_index, seed=3, **options)
        batches = ResumableBatchSampler(sampler)
        return ResumableDataLoader(Numbers(), batch_sampler=batches, num_workers=args.dataloader_num_workers)


def as_rank(rank: int, num_ranks: int) -> None:
    """Tell accelerate that torchrun has started this process."""
    os.environ.update(RANK=f"{rank}", LOCAL_RANK=f"{rank}", WORLD_SIZE=f"{num_ranks}", LOCAL_WORLD_SIZE=f"{num_ranks}")
    os.environ["OMP_NUM_THREADS"] = "1"
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def train(
    folder: Path,
    *,
    checkpoint: int | None = None,
    sampler: dict[str, Any] | None = None,
    job: type[Trainer] = Job,
    callbacks: tuple[Any, ...] = (TrainerPosition,),
    **options: Any,
) -> list[list[float]]:
    """Train to the end, from the start or from a checkpoint, and give what each backward pass was of.

    Args:
        folder: Where checkpoints are written, one after each step.
        checkpoint: Number of steps done in the one to go on from.
        sampler: Further arguments of the sampler.
        job: The trainer.
        callbacks: Its callbacks.
        **options: Further `TrainingArguments`.
    """
    defaults = {"num_train_epochs": NUM_EPOCHS, "per_device_train_batch_size": 4}
    args = TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        save_strategy="steps",
        save_steps=1,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        **(defaults | options),
    )
    model = Model()
    trainer = job(model, args, train_dataset=Numbers(), callbacks=[callback() for callback in callbacks])
    vars(trainer)["options"] = sampler or {}
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(folder / f"checkpoint-{checkpoint}"))
    return model.batches
