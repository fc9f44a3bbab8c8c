"""A tiny DDP job with one planted bug in its resume, or with that bug repaired.

    job.py --bug sticky-start [--repaired] [--workers 2] [--drop-last]

It trains for a fixed number of steps, so that ranks that disagree about an epoch's length still meet at every step.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import planted
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

NUM_SAMPLES = 93
BATCH_SIZE = 6
NUM_STEPS = 40
SAVE_EVERY = 2
CHECKPOINT = Path("checkpoints") / "latest.pt"


class Trainer:
    """The model and what a restart brings back of it: no bug planted."""

    def __init__(self, sampler: planted.ShardSampler) -> None:
        torch.manual_seed(0)
        self.model = DistributedDataParallel(nn.Linear(4, 1, bias=False))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)
        self.sampler = sampler
        self.step = 0

    def learn(self, features: Tensor, targets: Tensor) -> None:
        self.optimizer.zero_grad()
        nn.functional.mse_loss(self.model(features), targets).backward()
        self.optimizer.step()
        self.sampler.commit()
        self.step += 1

    def save(self) -> None:
        if dist.get_rank() != 0:
            return
        CHECKPOINT.parent.mkdir(exist_ok=True)
        temporary = CHECKPOINT.with_suffix(".tmp")
        state = {
            "model": self.model.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "sampler": self.sampler.state_dict(),
            "step": self.step,
        }
        torch.save(state, temporary)
        temporary.replace(CHECKPOINT)

    def restore(self, state: dict[str, Any]) -> None:
        self.model.module.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.sampler.load_state_dict(state["sampler"])
        self.step = state["step"]


class OptimizerForgotten(Trainer):
    """The optimizer's momentum is saved and not loaded: the batches are right, the weights drift."""

    def restore(self, state: dict[str, Any]) -> None:
        fresh = self.optimizer.state_dict()
        super().restore(state)
        self.optimizer.load_state_dict(fresh)


class CheckpointIgnored(Trainer):
    """The checkpoint is there and nobody loads it: the job begins anew."""

    def restore(self, state: dict[str, Any]) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One planted bug: the sampler or the trainer that has it."""

    sampler: type[planted.ShardSampler] = planted.ShardSampler
    trainer: type[Trainer] = Trainer


MUTANTS = {
    "sticky-start": Mutant(sampler=planted.StickyStart),
    "second-resume": Mutant(sampler=planted.CountsThisLifeOnly),
    "epoch-late": Mutant(sampler=planted.EpochLate),
    "epoch-early": Mutant(sampler=planted.EpochEarly),
    "epoch-zero-order": Mutant(sampler=planted.EpochZeroOrder),
    "epoch-restarted": Mutant(sampler=planted.EpochRestarted),
    "empty-after-border": Mutant(sampler=planted.EmptyAfterBorder),
    "read-ahead": Mutant(sampler=planted.CountsReadAhead),
    "skip-in-samples": Mutant(sampler=planted.SkipInSamples),
    "seed-ignored": Mutant(sampler=planted.SeedIgnored),
    "same-order": Mutant(sampler=planted.SameOrderEveryEpoch),
    "padded-from-remainder": Mutant(sampler=planted.PaddedFromRemainder),
    "rank-zero-for-all": Mutant(sampler=planted.RankZeroForAll),
    "no-permutation": Mutant(sampler=planted.NoPermutation),
    "drop-last-forgotten": Mutant(sampler=planted.DropLastForgotten),
    "batch-replayed": Mutant(sampler=planted.BatchReplayed),
    "batch-skipped": Mutant(sampler=planted.BatchSkipped),
    "only-rank-zero-resumes": Mutant(sampler=planted.OnlyRankZeroResumes),
    "optimizer-forgotten": Mutant(trainer=OptimizerForgotten),
    "checkpoint-ignored": Mutant(trainer=CheckpointIgnored),
}


def synthetic() -> TensorDataset:
    """Samples that tell their index: no two are alike."""
    features = torch.randn(NUM_SAMPLES, 4, generator=torch.Generator().manual_seed(1))
    return TensorDataset(features, features.sum(dim=1, keepdim=True))


def train(trainer: Trainer, *, num_workers: int) -> None:
    loader = DataLoader(synthetic(), batch_size=BATCH_SIZE, sampler=trainer.sampler, num_workers=num_workers)
    epoch = trainer.sampler.epoch
    while trainer.step < NUM_STEPS:
        trainer.sampler.set_epoch(epoch)
        for features, targets in loader:
            trainer.learn(features, targets)
            if trainer.step % SAVE_EVERY == 0:
                trainer.save()
            if trainer.step == NUM_STEPS:
                break
        epoch += 1


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bug", required=True, choices=sorted(MUTANTS))
    parser.add_argument("--repaired", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--drop-last", action="store_true")
    options = parser.parse_args(arguments)
    dist.init_process_group("gloo")
    shape = planted.Shape(
        num_samples=NUM_SAMPLES,
        batch_size=BATCH_SIZE,
        world_size=dist.get_world_size(),
        rank=dist.get_rank(),
        seed=17,
        drop_last=options.drop_last,
    )
    mutant = Mutant() if options.repaired else MUTANTS[options.bug]
    trainer = mutant.trainer(mutant.sampler(shape))
    if CHECKPOINT.exists():
        trainer.restore(torch.load(CHECKPOINT, weights_only=True))
    train(trainer, num_workers=options.workers)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
