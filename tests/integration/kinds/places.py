"""Jobs that differ in how they find the batch at which they go on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import torch
from frame import Job, of_all_ranks
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Subset, TensorDataset


class EndingInAnEpoch(Job):
    """Training is a number of steps. Bug: `more` makes one more after a restart."""

    num_epochs = 4
    save_every = 5
    num_steps: ClassVar = 22

    def __init__(self, bug: str) -> None:
        super().__init__(bug)
        self.left = self.num_steps

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.left = self.num_steps - self.step + (self.bug == "more")

    def batches(self) -> Iterator[Any]:
        for number, batch in enumerate(self.loader):
            is_passed_by = self.sampler.epoch * len(self.loader) + number < self.done
            if not self.left and not is_passed_by:
                return
            yield batch

    def update(self) -> None:
        super().update()
        self.left -= 1


class Staged(Job):
    """A curriculum: each epoch has a data set and a loader of its own. Bug: `stage` is the first one again."""

    lengths: ClassVar = (32, 40, 52)
    save_every = 3

    def __init__(self, bug: str) -> None:
        super().__init__(bug)
        self.all_data = self.data
        self.epoch = self.number = self.stage = 0

    def state(self) -> dict[str, Any]:
        return {**super().state(), "place": (self.epoch, self.number, self.stage)}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.epoch, self.number, self.stage = state["place"]
        if self.bug == "stage":
            self.stage = 0

    def train(self) -> None:
        while self.epoch < self.num_epochs:
            self.data = Subset(self.all_data, range(self.lengths[self.stage]))
            self.sampler = DistributedSampler(self.data, seed=2)
            self.sampler.set_epoch(self.epoch)
            for batch in islice(self.make_loader(), self.number, None):
                self.number += 1
                self.learn(batch)
                self.after_batch()
            self.epoch, self.number, self.stage = self.epoch + 1, 0, self.stage + 1


class Diced(Job):
    """Two streams, and dice that say whose turn it is. Bug: `dice` are thrown from scratch."""

    num_steps: ClassVar = 24
    save_every = 5

    def __init__(self, bug: str) -> None:
        super().__init__(bug)
        self.dice = random.Random(9)
        self.used = [0, 0]
        self.tasks = [TensorDataset(torch.randn(48, 4)), TensorDataset(torch.randn(32, 4) + 5)]

    def state(self) -> dict[str, Any]:
        return {**super().state(), "dice": self.dice.getstate(), "used": list(self.used)}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.used = state["used"]
        if self.bug != "dice":
            self.dice.setstate(state["dice"])

    def stream(self, task: int) -> Iterator[Any]:
        """Endless: each pass in an order of its own, the first from where it was left."""
        data = self.tasks[task]
        first, skipped = divmod(self.used[task], len(data) // (4 * self.world_size))
        for number in range(first, self.num_steps):
            generator = torch.Generator().manual_seed(100 * task + number)
            order = torch.randperm(len(data), generator=generator)[self.rank :: self.world_size].tolist()
            yield from DataLoader(data, batch_size=4, sampler=order[4 * skipped :])
            skipped = 0

    def train(self) -> None:
        streams = [self.stream(task) for task in range(2)]
        while self.step < self.num_steps:
            task = self.dice.choices([0, 1], [0.7, 0.3])[0]
            self.used[task] += 1
            self.learn(next(streams[task]))
            self.after_batch()


class InTurns(Job):
    """Two loaders of different sizes take turns, and are passed forward together after a restart."""

    save_every = 1

    def train(self) -> None:
        tasks = torch.arange(40.0).reshape(10, 4) / 40, torch.arange(60.0).reshape(15, 4) / 60 + 2
        count = 0
        for _ in range(self.num_epochs):
            loaders = [DataLoader(TensorDataset(task), batch_size=size) for size, task in enumerate(tasks, 2)]
            for both in zip(*loaders, strict=True):
                for batch in both:
                    count += 1
                    if count > self.done:
                        self.learn(batch)
                        self.done += 1
                        self.save()


class Repeating(Job):
    """Its sampler repeats samples on purpose."""

    save_every = 1

    def make_loader(self) -> Any:
        return range(8)

    def batches(self) -> Any:
        draws = random.Random(10 * self.sampler.epoch + self.rank)
        return DataLoader(self.data, batch_sampler=[[draws.randrange(64) for _ in range(4)] for _ in range(8)])


class Noisy(Dataset[tuple[torch.Tensor]]):
    """Augments by the epoch and the sample; or by what NumPy draws in the worker."""

    def __init__(self, *, is_drawn: bool) -> None:
        self.is_drawn = is_drawn
        self.features = torch.randn(64, 4)
        self.epoch = torch.zeros(1, dtype=torch.long).share_memory_()

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: int) -> tuple[torch.Tensor]:
        draws: Any = np.random if self.is_drawn else np.random.default_rng([int(self.epoch), index])
        return (self.features[index] + torch.tensor(draws.standard_normal(4), dtype=torch.float32),)


class Augmenting(Job):
    """Persistent workers augment; saved between epochs. Bug: `seed` is the worker's number whenever it starts."""

    num_workers = 1
    num_epochs = 4

    def samples(self) -> Any:
        return Noisy(is_drawn=self.bug == "seed")

    def make_loader(self) -> Any:
        return DataLoader(
            self.data,
            batch_size=4,
            sampler=self.sampler,
            num_workers=1,
            persistent_workers=True,
            worker_init_fn=np.random.seed,
            generator=torch.Generator(),
        )

    def batches(self) -> Any:
        self.data.epoch.fill_(self.sampler.epoch)
        return self.loader

    def after_batch(self) -> None:
        pass

    def after_epoch(self, epoch: int) -> None:
        self.save()


class Offsets(Job):
    """No loader: random offsets into one long text, drawn one step ahead. Bug: `draws` begin from scratch."""

    num_steps: ClassVar = 24
    save_every = 5

    def __init__(self, bug: str) -> None:
        super().__init__(bug)
        self.text = torch.randn(2000)
        self.draws = torch.Generator().manual_seed(1337 + self.rank)

    def draw(self) -> list[torch.Tensor]:
        self.before = self.draws.get_state()
        starts = torch.randint(len(self.text) - self.width, (4,), generator=self.draws)
        return [torch.stack([self.text[start : start + self.width] for start in starts])]

    def train(self) -> None:
        batch = self.draw()
        while self.step < self.num_steps:
            self.learn(batch)
            batch = self.draw()
            self.after_batch()

    def state(self) -> dict[str, Any]:
        return {**super().state(), "draws": of_all_ranks(self.before)}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        if self.bug != "draws":
            self.draws.set_state(state["draws"][self.rank])
