"""Jobs that differ in what beside the model they bring back."""

from __future__ import annotations

import copy
import json
import math
import shutil
import time
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import numpy as np
import torch
import torch.distributed as dist
from frame import CHECKPOINT, Job, of_all_ranks, replace
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

HISTORY, COUNTS = Path("history.json"), Path("counts.npz")


class Dropping(Job):
    """Dropout draws from each rank's own random state. Bug: `rank_0` gives its state to every rank."""

    width = 8
    save_every = 4

    def __init__(self, bug: str) -> None:
        super().__init__(bug)
        torch.manual_seed(100 + self.rank)

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def state(self) -> dict[str, Any]:
        return {**super().state(), "random": of_all_ranks(torch.get_rng_state())}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        torch.set_rng_state(state["random"][0 if self.bug == "rank_0" else self.rank])


class Grouped(Job):
    """Weights decay, biases do not. Bug: `order` of a set of names is that of the optimizer's parameters."""

    save_every = 4

    def network(self) -> nn.Module:
        return nn.Sequential(*[nn.Linear(4, 4) for _ in range(6)])

    def make_optimizer(self) -> torch.optim.Optimizer:
        named = dict(self.model.named_parameters())
        decaying = {name for name in named if name.endswith("weight")}
        plain = [name for name in named if name not in decaying]
        order = decaying if self.bug == "order" else sorted(decaying)
        groups = [
            {"params": [named[name] for name in order], "weight_decay": 0.01},
            {"params": [named[name] for name in plain]},
        ]
        return torch.optim.SGD(groups, lr=0.02, momentum=0.9)


class Averaging(Job):
    """Keeps an average of the weights. Bugs: it is `lost`, or `dropped` for good; `clock` is none: a time is saved too."""

    def __init__(self, bug: str) -> None:
        super().__init__(bug)
        self.average: dict[str, Tensor] | None = self.weights()

    def weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.net.state_dict().items()}

    def update(self) -> None:
        super().update()
        if self.average is not None:
            for name, value in self.net.state_dict().items():
                self.average[name].mul_(0.9).add_(value, alpha=0.1)

    def state(self) -> dict[str, Any]:
        state = super().state()
        if self.average is not None:
            state["ema"] = self.average
        if "clock" in self.bug:
            state["tokens_per_s"] = torch.tensor(time.time() % 1000)
        return state

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        if self.bug == "dropped":
            self.average = None
        elif "lost" in self.bug:
            self.average = self.weights()
        else:
            self.average = state["ema"]


class AveragingInAThread(Averaging):
    """A thread writes copies, which it has written before the next one is made."""

    writer: Thread | None = None

    def save(self) -> None:
        if self.writer is not None:
            self.writer.join()
        if self.rank == 0:
            self.writer = Thread(target=replace, args=(copy.deepcopy(self.state()), CHECKPOINT))
            self.writer.start()
        dist.barrier()

    def after_epoch(self, epoch: int) -> None:
        if self.writer is not None:
            self.writer.join()


class Normalising(Job):
    """Batch statistics without parameters of their own. Bug: only `parameters` are saved."""

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8, affine=False), nn.Linear(8, 1))

    def state(self) -> dict[str, Any]:
        kept = dict(self.net.named_parameters()) if self.bug == "parameters" else self.net.state_dict()
        return {**super().state(), "net": kept}

    def restore(self, state: dict[str, Any]) -> None:
        fresh = {name: value.clone() for name, value in self.net.named_buffers()}
        super().restore({**state, "net": {**fresh, **state["net"]}})


class NormalisingAlone(Normalising):
    """Without DDP each rank has statistics of its own, and saves them. Bug: `rank_0`'s are given to every rank."""

    def wrapped(self) -> nn.Module:
        return self.net

    def learn(self, batch: Any) -> None:
        self.loss(batch).backward()
        for parameter in self.net.parameters():
            dist.all_reduce(parameter.grad)
            parameter.grad /= self.world_size
        self.update()

    def state(self) -> dict[str, Any]:
        return {**super().state(), "nets": of_all_ranks(self.net.state_dict())}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore({**state, "net": state["nets"][0 if self.bug == "rank_0" else self.rank]})


class KeepingTheBest(Job):
    """Writes the best network so far into a file. Bug: after a restart `best` is unknown."""

    best = float("inf")

    def state(self) -> dict[str, Any]:
        return {**super().state(), "best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        if self.bug != "best":
            self.best = state["best"]

    def after_epoch(self, epoch: int) -> None:
        quality = 1.0 + epoch  # the first epoch's is the best
        if quality < self.best:
            self.best = quality
            if self.rank == 0:
                self.keep()
        self.save()

    def keep(self) -> None:
        torch.save(self.net.state_dict(), "best.pt")


class CopyingTheBest(KeepingTheBest):
    """The best one is a copy of the newest checkpoint."""

    def keep(self) -> None:
        shutil.copyfile(CHECKPOINT, "best.pt")


class LinkingTheBest(KeepingTheBest):
    """The best one is a second name of the newest checkpoint, put in place at once."""

    def keep(self) -> None:
        Path("draft").hardlink_to(CHECKPOINT)
        Path("draft").replace("best.pt")


class Users(Dataset[tuple[int, Tensor]]):
    """Rows of a large table, far from its beginning."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        return 2000 + index, torch.tensor([float(index % 5)])


class Recommending(Job):
    """A large table with sparse gradients and an optimizer of its own. Bug: the `table`'s moments are not restored."""

    save_every = 1
    num_epochs = 2

    def samples(self) -> Any:
        return Users()

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Embedding(5000, 16, sparse=True), nn.Linear(16, 1))

    def wrapped(self) -> nn.Module:
        return self.net

    def make_optimizer(self) -> torch.optim.Optimizer:
        table, head = self.net.children()
        self.sparse = torch.optim.SparseAdam(table.parameters(), lr=0.05)
        return torch.optim.Adam(head.parameters(), lr=0.01)

    def learn(self, batch: Any) -> None:
        users, targets = batch
        (self.model(users) - targets).square().mean().backward()
        for parameter in self.net.parameters():
            gradient = parameter.grad.to_dense()
            dist.all_reduce(gradient)
            is_sparse = parameter.grad.is_sparse
            parameter.grad = (gradient / self.world_size).to_sparse(1) if is_sparse else gradient / self.world_size
        self.sparse.step()
        self.sparse.zero_grad()
        self.update()

    def state(self) -> dict[str, Any]:
        return {**super().state(), "sparse": self.sparse.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        if self.bug != "table":
            self.sparse.load_state_dict(state["sparse"])


class Resized(Job):
    """The same global batches on any number of ranks. Bugs: `weights` or `moments` are zero after a restart."""

    save_every = 1
    num_epochs: ClassVar = 3

    def make_loader(self) -> Any:
        return range(8)

    def batches(self) -> Any:
        order = torch.randperm(64, generator=torch.Generator().manual_seed(self.sampler.epoch)).tolist()
        share = 8 // self.world_size
        own = [order[start + self.rank * share :][:share] for start in range(0, 64, 8)]
        return DataLoader(self.data, batch_sampler=own)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=0.01)

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        with torch.no_grad():
            if self.bug == "weights":
                for parameter in self.net.parameters():
                    parameter.zero_()
            if self.bug == "moments":
                for moments in self.optimizer.state.values():
                    for value in moments.values():
                        value.zero_()


class ByHand(Job):
    """No optimizer: the script moves its parameters itself. Bug: its momentum is lost."""

    def make_optimizer(self) -> Any:
        return {name: torch.zeros_like(parameter) for name, parameter in self.net.named_parameters()}

    def state(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "momentum": self.optimizer, "step": self.step, "done": self.done}

    def restore(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.step, self.done = state["step"], state["done"]
        if self.bug != "momentum":
            self.optimizer = state["momentum"]

    def update(self) -> None:
        with torch.no_grad():
            for name, parameter in self.net.named_parameters():
                self.optimizer[name].mul_(0.9).add_(parameter.grad)
                parameter.sub_(self.optimizer[name], alpha=0.02)
                parameter.grad = None
        self.step += 1


class Counting(Job):
    """Numbers beside the state: a best value in the checkpoint, a history and counts in files. Bugs: one of them is lost."""

    save_every = 4

    def __init__(self, bug: str) -> None:
        super().__init__(bug)
        self.best = math.inf
        self.history: list[float] = []
        self.counts = np.zeros(3, dtype=np.int64)

    def update(self) -> None:
        super().update()
        self.history.append(abs(self.step - 6.5))
        self.best = min(self.best, self.history[-1])
        self.counts[self.step % 3] += 1

    def state(self) -> dict[str, Any]:
        return {**super().state(), "best": self.best}

    def save(self) -> None:
        if self.rank == 0:
            with HISTORY.open("w") as file:
                json.dump(self.history, file)
            np.savez(COUNTS, counts=self.counts)
        super().save()

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        if self.bug != "best":
            self.best = state["best"]
        if self.bug != "history":
            self.history = json.loads(HISTORY.read_text())[: self.step]
        if self.bug != "counts":
            self.counts = np.load(COUNTS)["counts"]
