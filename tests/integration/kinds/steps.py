"""Jobs that differ in which batches an optimizer step is made of."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from frame import CHECKPOINT, Job, replace
from torch import nn
from torch.distributed.algorithms.join import Join
from torch.utils.data import DataLoader, Subset, TensorDataset


class Scaled(Job):
    """Half precision: the scaler skips steps whose gradients overflow. Bug: `scale` is not restored, steps are skipped."""

    width = 8
    save_every = 4
    init_scale: ClassVar = 2.0**18
    growth_interval: ClassVar = 1000

    def __init__(self, bug: str) -> None:
        super().__init__(bug)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=self.init_scale, growth_interval=self.growth_interval)

    def samples(self) -> Any:
        return TensorDataset(torch.randn(64, self.width) * 8)

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(self.width, 16), nn.ReLU(), nn.Linear(16, 1))

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)

    def learn(self, batch: Any) -> None:
        with torch.autocast("cpu", dtype=torch.float16):
            loss = self.loss(batch)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.step += 1

    def state(self) -> dict[str, Any]:
        return {**super().state(), "scaler": self.scaler.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        if self.bug != "scale":
            self.scaler.load_state_dict(state["scaler"])


class ScaledOften(Scaled):
    """Saved after every batch, those whose step the scaler skips among them; the scale grows again and again."""

    save_every = 1
    init_scale = 2.0**10
    growth_interval = 4


class Guarded(Job):
    """Bad batches are not stepped on; saved after every batch. Bug: `place` counts steps where it should count batches."""

    def samples(self) -> Any:
        features = torch.randn(64, self.width)
        features[::9] *= 30
        return TensorDataset(features)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=1e-4, momentum=0.9)

    def is_bad(self, loss: torch.Tensor) -> bool:
        worst = loss.detach().clone()
        dist.all_reduce(worst, op=dist.ReduceOp.MAX)
        return worst.item() > 20

    def learn(self, batch: Any) -> None:
        loss = self.loss(batch)
        loss.backward()
        if not self.is_bad(loss):
            self.optimizer.step()
            self.step += 1
        self.optimizer.zero_grad()

    def after_batch(self) -> None:
        self.save()

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        if self.bug == "place":
            self.done = self.step


class LookedAt(Guarded):
    """Each batch is looked at without gradients; a bad one is let go before any backward pass."""

    def learn(self, batch: Any) -> None:
        with torch.no_grad():
            loss = self.net(batch[0]).square().mean()
        if not self.is_bad(loss):
            super().learn(batch)


class Accumulating(Job):
    """Two batches a step. Bug: `epoch` divides batches by the number of steps, and passes the end of training."""

    accumulation: ClassVar = 2
    save_every = 3

    def learn(self, batch: Any) -> None:
        (self.loss(batch) / self.accumulation).backward()
        if (self.done + 1) % self.accumulation == 0:
            self.update()

    def after_batch(self) -> None:
        if self.done % (self.accumulation * self.save_every) == 0:
            self.save()

    def place(self) -> tuple[int, int]:
        epoch, skipped = super().place()
        return (self.done // (len(self.loader) // self.accumulation) if self.bug == "epoch" else epoch), skipped


class AccumulatingWithoutSync(Accumulating):
    """Four batches a step, reduced once. Bug: `skip` passes by as many batches as there were steps."""

    accumulation = 4
    num_epochs = 4

    def samples(self) -> Any:
        return TensorDataset(torch.randn(128, self.width))

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), lr=0.01)

    def learn(self, batch: Any) -> None:
        is_last = (self.done + 1) % self.accumulation == 0
        with nullcontext() if is_last else self.model.no_sync():
            (self.loss(batch) / self.accumulation).backward()
        if is_last:
            self.update()

    def place(self) -> tuple[int, int]:
        epoch, skipped = Job.place(self)
        return epoch, (skipped // self.accumulation if self.bug == "skip" else skipped)


class OverTheBorder(Accumulating):
    """Ten batches an epoch, four a step, saved between epochs with open gradients. Bug: `gradients` are not restored."""

    accumulation = 4
    num_epochs = 4

    def samples(self) -> Any:
        return TensorDataset(torch.randn(80, self.width))

    def after_batch(self) -> None:
        pass

    def after_epoch(self, epoch: int) -> None:
        self.save()

    def state(self) -> dict[str, Any]:
        return {**super().state(), "gradients": [parameter.grad for parameter in self.net.parameters()]}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        if self.bug != "gradients":
            for parameter, gradient in zip(self.net.parameters(), state["gradients"], strict=True):
                parameter.grad = gradient


class Flushing(OverTheBorder):
    """What is open at an epoch's end is a step of its own."""

    num_open = 0

    def learn(self, batch: Any) -> None:
        (self.loss(batch) / self.accumulation).backward()
        self.num_open += 1
        if self.num_open == self.accumulation:
            self.update()

    def update(self) -> None:
        super().update()
        self.num_open = 0

    def after_epoch(self, epoch: int) -> None:
        self.update()
        self.save()


class SameGlobalBatch(Accumulating):
    """Fewer ranks accumulate more. Bug: `skip` keeps the number of batches that each of more ranks had done."""

    num_epochs = 4
    save_every = 2

    def __init__(self, bug: str) -> None:
        super().__init__(bug)
        self.accumulation = 4 // self.world_size

    def make_loader(self) -> Any:
        """Batches of four, dealt out in turns."""
        return range(0, 64 // self.world_size, 4)

    def batches(self) -> Any:
        order = torch.randperm(64, generator=torch.Generator().manual_seed(self.sampler.epoch)).tolist()
        dealt = [order[start : start + 4] for start in range(0, 64, 4)][self.rank :: self.world_size]
        return DataLoader(self.data, batch_sampler=dealt)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "world_size": self.world_size}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.done = self.done * state["world_size"] // self.world_size
        if self.bug == "skip":
            epoch, skipped = self.place()
            self.done = epoch * len(self.loader) + skipped * self.world_size // state["world_size"]


class WarmedUp(Job):
    """A step on made-up data comes before training, in each life; then what is saved is loaded."""

    save_every = 1

    def resume(self) -> None:
        self.model(torch.ones(2, self.width)).sum().backward()
        self.update()
        self.step = 0
        self.optimizer = self.make_optimizer()
        super().resume()


class Sharp(Job):
    """Sharpness-aware: moved parameters are moved back before the step, which rounds. Bug: `radius` is not restored."""

    radius = 0.05

    def learn(self, batch: Any) -> None:
        self.loss(batch).backward()
        with torch.no_grad():
            ways = [parameter.grad * self.radius for parameter in self.net.parameters()]
            for parameter, way in zip(self.net.parameters(), ways, strict=True):
                parameter.add_(way)
        self.optimizer.zero_grad()
        self.loss(batch).backward()
        with torch.no_grad():
            for parameter, way in zip(self.net.parameters(), ways, strict=True):
                parameter.sub_(way)
        self.update()
        self.radius *= 1.1

    def state(self) -> dict[str, Any]:
        return {**super().state(), "radius": self.radius}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        if self.bug != "radius":
            self.radius = state["radius"]


class SharpOnAnyNumber(Sharp):
    """On a different number of ranks gradients are summed differently: only what is restored can be judged."""

    def make_loader(self) -> Any:
        return range(8)

    def batches(self) -> Any:
        order = torch.randperm(64, generator=torch.Generator().manual_seed(self.sampler.epoch)).tolist()
        share = 8 // self.world_size
        own = [order[start + self.rank * share :][:share] for start in range(0, 64, 8)]
        return DataLoader(self.data, batch_sampler=own)


class Uneven(Job):
    """Rank 0 has eight batches an epoch, rank 1 six: it sits out the end of each. Bug: `one` batch is passed by."""

    save_every = 3

    def make_loader(self) -> Any:
        self.own = Subset(self.data, range(32) if self.rank == 0 else range(32, 56))
        return range(8)

    def make_optimizer(self) -> torch.optim.Optimizer:
        """Without momentum, of which a rank that sits out would have less."""
        return torch.optim.SGD(self.model.parameters(), lr=0.02)

    def save(self) -> None:
        if self.rank == 0:  # no rank waits for it: the others may be through
            replace(self.state(), CHECKPOINT)

    def train(self) -> None:
        first, skipped = self.place()
        for epoch in range(first, self.num_epochs):
            order = torch.randperm(len(self.own), generator=torch.Generator().manual_seed(epoch)).tolist()
            skipped += bool(skipped) and self.bug == "one"
            self.done = 8 * epoch + skipped
            with Join([self.model]):
                for batch in DataLoader(self.own, batch_size=4, sampler=order[4 * skipped :]):
                    self.learn(batch)
                    self.done += 1
                    self.after_batch()
            dist.barrier()
            skipped = 0
