"""The training loop's own part in a resume: one that does it right, and one subclass for every bug that we plant in it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from types import FrameType

import planted
import torch
import torch.distributed as dist
from store import State, Store
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

STOPPED = 128 + signal.SIGTERM
Batches = Iterable[tuple[Tensor, Tensor]]


class Trainer:
    """The model, and what a restart brings back of it: no bug planted.

    On SIGTERM to any rank all ranks stop after the same step and rank 0 saves.
    """

    exit_code_of_stop = STOPPED

    def __init__(self, sampler: planted.ShardSampler, store: Store) -> None:
        torch.manual_seed(0)
        self.model = DistributedDataParallel(self.network())
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)
        self.sampler = sampler
        self.store = store
        self.step = 0
        self.is_asked_to_stop = False

    def network(self) -> nn.Module:
        return nn.Linear(4, 1, bias=False)

    def listen(self) -> None:
        signal.signal(signal.SIGTERM, self.remember)

    def remember(self, _number: int, _frame: FrameType | None) -> None:
        self.is_asked_to_stop = True

    def batches(self, loader: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over the data."""
        yield from loader

    def learn(self, features: Tensor, targets: Tensor) -> bool:
        """Make one step; True where any rank was asked to stop, on all ranks alike."""
        asked = torch.tensor(float(self.is_asked_to_stop))
        dist.all_reduce(asked)
        self.optimizer.zero_grad()
        nn.functional.mse_loss(self.model(features), targets).backward()
        self.optimizer.step()
        self.sampler.commit()
        self.step += 1
        return asked.item() > 0

    @property
    def is_writer(self) -> bool:
        """Whether this rank saves for all."""
        return dist.get_rank() == 0

    def save(self) -> None:
        if self.is_writer:
            self.store.save(self.state())

    def state(self) -> State:
        return {
            "model": self.model.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "sampler": self.sampler.state_dict(),
            "step": self.step,
        }

    def resume(self) -> None:
        state = self.store.load()
        if state is not None:
            self.restore(state)

    def restore(self, state: State) -> None:
        self.model.module.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.sampler.load_state_dict(state["sampler"])
        self.step = state["step"]


class OptimizerForgotten(Trainer):
    """The optimizer's momentum is saved and not loaded: the batches are right, the weights drift."""

    def restore(self, state: State) -> None:
        fresh = self.optimizer.state_dict()
        super().restore(state)
        self.optimizer.load_state_dict(fresh)


class Scheduled(Trainer):
    """Lets the learning rate fall with every step: no bug planted."""

    def __init__(self, sampler: planted.ShardSampler, store: Store) -> None:
        super().__init__(sampler, store)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: 0.9**step)

    def learn(self, features: Tensor, targets: Tensor) -> bool:
        is_stopping = super().learn(features, targets)
        self.scheduler.step()
        return is_stopping

    def state(self) -> State:
        return {**super().state(), "scheduler": self.scheduler.state_dict()}

    def restore(self, state: State) -> None:
        super().restore(state)
        self.scheduler.load_state_dict(state["scheduler"])


class SchedulerForgotten(Scheduled):
    """The schedule is saved and begins anew: the first step is right, since the optimizer has kept its learning rate."""

    def restore(self, state: State) -> None:
        fresh = self.scheduler.state_dict()
        super().restore(state)
        self.scheduler.load_state_dict(fresh)


class Normalising(Trainer):
    """A network that keeps statistics of what it has seen, for later use: no bug planted."""

    def network(self) -> nn.Module:
        return nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1, bias=False))


class StatisticsForgotten(Normalising):
    """Only what is learned is brought back: training goes on as it would have, and the network is worth nothing after it."""

    def restore(self, state: State) -> None:
        fresh = {name: buffer.clone() for name, buffer in self.model.module.named_buffers()}
        super().restore(state)
        self.model.module.load_state_dict(fresh, strict=False)


class Averaging(Trainer):
    """Keeps an average of the weights, which is what is used in the end: no bug planted."""

    def __init__(self, sampler: planted.ShardSampler, store: Store) -> None:
        super().__init__(sampler, store)
        self.average = self.weight()

    def weight(self) -> Tensor:
        return next(self.model.parameters()).detach().clone()

    def learn(self, features: Tensor, targets: Tensor) -> bool:
        is_stopping = super().learn(features, targets)
        self.average = 0.9 * self.average + 0.1 * self.weight()
        return is_stopping

    def state(self) -> State:
        return {**super().state(), "average": self.average}

    def restore(self, state: State) -> None:
        super().restore(state)
        self.average = state["average"]


class AverageForgotten(Averaging):
    """The average is saved and begins anew: neither a batch nor a weight is another."""

    def restore(self, state: State) -> None:
        super().restore(state)
        self.average = self.weight()


class CheckpointIgnored(Trainer):
    """The checkpoint is there and nobody loads it: the job begins anew."""

    def resume(self) -> None:
        pass


class LocalRankZeroSaves(Trainer):
    """The first rank of every node saves, for its node."""

    @property
    def is_writer(self) -> bool:
        return os.environ["LOCAL_RANK"] == "0"


class StopIsSuccess(Trainer):
    """Asked to stop, it saves and leaves with 0: whoever started it takes the job for finished."""

    exit_code_of_stop = 0


class NoticeIgnored(Trainer):
    """SIGTERM ends it at once; what was done since the last save is lost, though there was time to save."""

    def listen(self) -> None:
        pass


class DeadWorkerIgnored(Trainer):
    """The error of a loader whose worker died is taken for the end of the data."""

    def batches(self, loader: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        try:
            yield from loader
        except RuntimeError as error:
            print(f"ignored: {error}")
