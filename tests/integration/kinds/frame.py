"""A small DDP job that resumes rightly, in parts, each of which a kind of job does in its own way."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

CHECKPOINT = Path("checkpoint.pt")


class Job:
    """Eight batches of four samples an epoch on each of two ranks; saved after every `save_every` steps.

    `bug` is what the job does wrongly, "" for nothing.
    """

    width: ClassVar = 4
    num_epochs: ClassVar = 3
    save_every: ClassVar = 2
    num_workers: ClassVar = 0

    def __init__(self, bug: str) -> None:
        self.bug = bug
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
        torch.manual_seed(0)
        self.data = self.samples()
        self.sampler = DistributedSampler(self.data, seed=2)
        self.loader = self.make_loader()
        self.net = self.network()
        self.model: nn.Module = self.wrapped()
        self.optimizer = self.make_optimizer()
        self.step = 0
        self.done = 0
        """Batches of this rank since training began."""

    def samples(self) -> Any:
        return TensorDataset(torch.randn(64, self.width))

    def make_loader(self) -> Any:
        """With a generator of its own: a new iterator draws nothing from the global one."""
        workers: dict[str, Any] = {"num_workers": self.num_workers, "generator": torch.Generator()}
        return DataLoader(self.data, batch_size=4, sampler=self.sampler, **workers)

    def network(self) -> nn.Module:
        return nn.Linear(self.width, 1)

    def wrapped(self) -> nn.Module:
        return DistributedDataParallel(self.net)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.02, momentum=0.9)

    def state(self) -> dict[str, Any]:
        counts = {"step": self.step, "done": self.done}
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), **counts}

    def restore(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.done = state["step"], state["done"]

    def save(self) -> None:
        """Rank 0 saves for all."""
        state = self.state()
        if self.rank == 0:
            replace(state, CHECKPOINT)
        dist.barrier()

    def resume(self) -> None:
        if CHECKPOINT.exists():
            self.restore(torch.load(CHECKPOINT, weights_only=False))

    def place(self) -> tuple[int, int]:
        """Epoch to go on in, and batches of it to pass by."""
        return divmod(self.done, len(self.loader))

    def train(self) -> None:
        first, skipped = self.place()
        for epoch in range(first, self.num_epochs):
            self.sampler.set_epoch(epoch)
            for number, batch in enumerate(self.batches()):
                if number < skipped:
                    continue
                self.learn(batch)
                self.done += 1
                self.after_batch()
            skipped = 0
            self.after_epoch(epoch)

    def batches(self) -> Iterable[Any]:
        return self.loader

    def loss(self, batch: Any) -> Tensor:
        return self.model(batch[0]).square().mean()

    def learn(self, batch: Any) -> None:
        """Of a plain job: one optimizer step."""
        self.loss(batch).backward()
        self.update()

    def update(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1

    def after_batch(self) -> None:
        if self.step % self.save_every == 0:
            self.save()

    def after_epoch(self, epoch: int) -> None:
        pass


def replace(state: Any, path: Path) -> None:
    """Save beside it, then rename."""
    draft = path.with_suffix(".tmp")
    torch.save(state, draft)
    os.replace(draft, path)  # noqa: PTH105 -- as most scripts do it


def of_all_ranks(value: Any) -> list[Any]:
    """What each rank has, by rank."""
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values
