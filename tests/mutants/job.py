"""A tiny DDP job with one planted bug in its resume, or with that bug repaired.

    job.py --bug sticky-start [--repaired] [--workers 2] [--drop-last]

It trains for a fixed number of steps, so that ranks that disagree about an epoch's length still meet at every step. Where
the number of ranks may change, and steps with it, `--epochs` says how long it trains.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import planted
import store
import torch
import torch.distributed as dist
import trainer
from torch.utils.data import DataLoader, TensorDataset

NUM_SAMPLES = 93
BATCH_SIZE = 6
NUM_STEPS = 40
SAVE_EVERY = 2


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One planted bug: the sampler, the trainer or the store that has it."""

    repaired: type[trainer.Trainer] = trainer.Trainer
    """The trainer without the bug."""
    sampler: type[planted.ShardSampler] = planted.ShardSampler
    trainer: type[trainer.Trainer] = trainer.Trainer
    store: type[store.Store] = store.Store


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
    "optimizer-forgotten": Mutant(trainer=trainer.OptimizerForgotten),
    "scheduler-forgotten": Mutant(trainer=trainer.SchedulerForgotten, repaired=trainer.Scheduled),
    "statistics-forgotten": Mutant(trainer=trainer.StatisticsForgotten, repaired=trainer.Normalising),
    "average-forgotten": Mutant(trainer=trainer.AverageForgotten, repaired=trainer.Averaging),
    "checkpoint-ignored": Mutant(trainer=trainer.CheckpointIgnored),
    "stop-is-success": Mutant(trainer=trainer.StopIsSuccess),
    "notice-ignored": Mutant(trainer=trainer.NoticeIgnored),
    "dead-worker-ignored": Mutant(trainer=trainer.DeadWorkerIgnored),
    "newest-blindly": Mutant(store=store.NewestBlindly),
    "overwriting": Mutant(store=store.Overwriting),
    "overwriting-beginning-anew": Mutant(store=store.OverwritingAndBeginningAnew),
    "overwriting-in-silence": Mutant(store=store.OverwritingInSilence),
    "saved-by-every-node": Mutant(trainer=trainer.LocalRankZeroSaves, store=store.OnOwnDisk),
    "listed-by-every-node": Mutant(store=store.ListedByEach),
    "progress-in-batches": Mutant(sampler=planted.CountsBatches),
    "world-size-kept": Mutant(sampler=planted.KeepsWorldSize),
}


def synthetic() -> TensorDataset:
    """Samples that tell their index: no two are alike."""
    features = torch.randn(NUM_SAMPLES, 4, generator=torch.Generator().manual_seed(1))
    return TensorDataset(features, features.sum(dim=1, keepdim=True))


def train(job: trainer.Trainer, *, num_workers: int, num_epochs: int | None) -> bool:
    """Train to the last step, or to the end of the last epoch; False where the job was asked to stop before."""
    num_steps = NUM_STEPS if num_epochs is None else math.inf
    loader = DataLoader(synthetic(), batch_size=BATCH_SIZE, sampler=job.sampler, num_workers=num_workers)
    epoch = job.sampler.epoch
    while job.step < num_steps and epoch != num_epochs:
        job.sampler.set_epoch(epoch)
        for features, targets in job.batches(loader):
            is_stopping = job.learn(features, targets)
            if is_stopping or job.step % SAVE_EVERY == 0:
                job.save()
            if is_stopping:
                return False
            if job.step == num_steps:
                break
        epoch += 1
    return True


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bug", required=True, choices=sorted(MUTANTS))
    parser.add_argument("--repaired", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--drop-last", action="store_true")
    parser.add_argument("--epochs", type=int)
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
    mutant = MUTANTS[options.bug]
    if options.repaired:
        mutant = Mutant(trainer=mutant.repaired)
    job = mutant.trainer(mutant.sampler(shape), mutant.store(Path("checkpoints")))
    job.listen()
    job.resume()
    has_finished = train(job, num_workers=options.workers, num_epochs=options.epochs)
    dist.barrier()
    dist.destroy_process_group()
    if not has_finished:
        sys.exit(job.exit_code_of_stop)


if __name__ == "__main__":
    main()
