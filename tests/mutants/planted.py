"""A small sampler that resumes rightly, and one subclass for every way in which we plant a bug in it.

It shares nothing with the package's samplers: what proves the rig must not depend on what the rig proves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypedDict

import torch
from torch.utils.data import Sampler


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What decides the order of one rank's samples."""

    num_samples: int
    batch_size: int
    world_size: int
    rank: int
    seed: int
    drop_last: bool

    @property
    def global_batch(self) -> int:
        return self.batch_size * self.world_size


class State(TypedDict):
    """Progress, as it stands in a checkpoint that rank 0 writes for all."""

    epoch: int
    batch: int
    samples: int
    """Of all ranks, since the epoch began."""
    world_size: int
    rank: int


def permutation(num_samples: int, seed: int) -> list[int]:
    order: list[int] = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed)).tolist()
    return order


class ShardSampler(Sampler[int]):
    """One rank's part of each epoch, from `batch` on: no bug planted."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.epoch = 0
        self.batch = 0
        self.offset = 0
        """Samples of the epoch that another number of ranks trained on beyond `batch` batches of this one's."""
        self.rank = shape.rank
        self.seed = shape.seed
        self.drop_last = shape.drop_last

    def set_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.epoch, self.batch, self.offset = epoch, 0, 0

    def order(self) -> list[int]:
        return permutation(self.shape.num_samples, self.seed + 1000 * self.epoch)

    def even(self, samples: list[int]) -> list[int]:
        """As many for every rank: the tail dropped, or the first ones once more."""
        surplus = len(samples) % self.shape.world_size
        if self.drop_last:
            return samples[: len(samples) - surplus]
        return samples + samples[: -len(samples) % self.shape.world_size]

    def first(self) -> int:
        """Position in the epoch's stream at which this iteration begins."""
        return self.offset + self.batch * self.shape.global_batch

    def __iter__(self) -> Iterator[int]:
        return iter(self.even(self.order())[self.first() :][self.rank :: self.shape.world_size])

    def commit(self) -> None:
        """One batch was trained on."""
        self.batch += 1

    def state_dict(self) -> State:
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "samples": self.offset + self.batch * self.shape.global_batch,
            "world_size": self.shape.world_size,
            "rank": self.rank,
        }

    def load_state_dict(self, state: State) -> None:
        self.epoch, self.batch = state["epoch"], state["batch"]
        self.offset = state["samples"] - self.batch * self.shape.global_batch


class Resumed(ShardSampler):
    """Remembers in which epoch it was resumed; for bugs that show only then."""

    resumed_epoch: int | None = None

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.resumed_epoch = self.epoch


class StickyStart(ShardSampler):
    """The start is set once and never cleared: every later epoch is truncated (helios-ml's trainer)."""

    start = 0

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.start = self.batch

    def first(self) -> int:
        return self.start * self.shape.global_batch


class CountsThisLifeOnly(ShardSampler):
    """The count of batches begins anew with the process: right after one resume, wrong after two in one epoch."""

    skip = 0

    def load_state_dict(self, state: State) -> None:
        self.epoch, self.batch, self.skip = state["epoch"], 0, state["batch"]

    def first(self) -> int:
        skip, self.skip = self.skip, 0
        return skip * self.shape.global_batch


class EpochLate(ShardSampler):
    """Epochs are counted from 1 where they are saved, and from 0 where they are loaded."""

    def state_dict(self) -> State:
        return {**super().state_dict(), "epoch": self.epoch + 1}


class EpochEarly(ShardSampler):
    """The saved epoch is taken for a number of epochs, and the last of them repeated."""

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.epoch = max(0, self.epoch - 1)


class EpochZeroOrder(Resumed):
    """`set_epoch` is left out for the epoch that is resumed: it goes on in epoch 0's order (accelerate#2823)."""

    def order(self) -> list[int]:
        epoch = 0 if self.epoch == self.resumed_epoch else self.epoch
        return permutation(self.shape.num_samples, self.seed + 1000 * epoch)


class EpochRestarted(ShardSampler):
    """The epoch is saved, the place in it is not."""

    def load_state_dict(self, state: State) -> None:
        self.epoch, self.batch = state["epoch"], 0


class EmptyAfterBorder(ShardSampler):
    """A checkpoint of an epoch's last batch makes the next epoch empty (torchdata's StatefulDataLoader)."""

    finished_epoch: int | None = None

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        if self.first() >= self.shape.num_samples - self.shape.world_size:
            self.finished_epoch = self.epoch

    def set_epoch(self, epoch: int) -> None:
        finished = self.batch
        super().set_epoch(epoch)
        if self.finished_epoch is not None and epoch == self.finished_epoch + 1:
            self.batch = finished


class CountsReadAhead(ShardSampler):
    """Batches are counted when the loader asks for them, which its workers do ahead of the training loop."""

    def __iter__(self) -> Iterator[int]:
        rest = super().__iter__()
        while batch := list(islice(rest, self.shape.batch_size)):
            self.batch += 1
            yield from batch

    def commit(self) -> None:
        pass


class SkipInSamples(ShardSampler):
    """The number of batches is used as a number of samples."""

    def first(self) -> int:
        return self.batch * self.shape.world_size


class SeedIgnored(Resumed):
    """The seed is given to the first life only; the next ones use the default."""

    def order(self) -> list[int]:
        seed = self.seed if self.resumed_epoch is None else 0
        return permutation(self.shape.num_samples, seed + 1000 * self.epoch)


class SameOrderEveryEpoch(Resumed):
    """The generator is restored, but at each epoch's start anew: all epochs after a resume are alike."""

    def order(self) -> list[int]:
        epoch = self.epoch if self.resumed_epoch is None else self.resumed_epoch
        return permutation(self.shape.num_samples, self.seed + 1000 * epoch)


class PaddedFromRemainder(ShardSampler):
    """What is left is padded from itself instead of from the epoch's first samples."""

    def __iter__(self) -> Iterator[int]:
        return iter(self.even(self.order()[self.first() :])[self.rank :: self.shape.world_size])


class RankZeroForAll(ShardSampler):
    """The state belongs to a rank, rank 0 saves, and every rank loads it (torchtitan#409)."""

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.rank = state["rank"]


class NoPermutation(Resumed):
    """To seek without the whole order, a resumed epoch draws each position by itself: some twice, some never."""

    def order(self) -> list[int]:
        if self.epoch != self.resumed_epoch:
            return super().order()
        generator = torch.Generator().manual_seed(self.seed + 1000 * self.epoch)
        draws: list[int] = torch.randint(
            self.shape.num_samples, (self.shape.num_samples,), generator=generator
        ).tolist()
        return draws


class DropLastForgotten(ShardSampler):
    """`drop_last` is not part of the state, and the restart uses its default."""

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.drop_last = False


class BatchReplayed(ShardSampler):
    """The sampler is saved before the step and the weights after it: one batch is trained on twice."""

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.batch = max(0, self.batch - 1)


class BatchSkipped(ShardSampler):
    """The saved batch is taken for done already, though it is the next one."""

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.batch += 1


class OnlyRankZeroResumes(ShardSampler):
    """Only rank 0 loads the sampler's state; the others begin the epoch anew (accelerate#4165)."""

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        if self.rank != 0:
            self.batch = 0


class CountsBatches(ShardSampler):
    """Progress is a number of batches, whose size changes with the number of ranks."""

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.offset = 0


class KeepsWorldSize(ShardSampler):
    """The number of ranks is restored with the rest: those that are left keep to their old shares."""

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.shape = replace(self.shape, world_size=state["world_size"])
        self.offset = 0
