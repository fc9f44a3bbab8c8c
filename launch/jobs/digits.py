"""The built-in job: a small network learns handwritten digits under DDP, and can be killed at any moment.

An ordinary training script. What makes its resume exact is little: the sampler is told which epoch it is in and which
batches were trained on, its state is saved with the weights, and both come back together. Run it alone, under torchrun,
or under the launcher:

    python -m resumable.launch.jobs.digits
    torchrun --nproc-per-node 4 launch/jobs/digits.py --epochs 4
    resumable verify --nproc-per-node 4 --fault sigkill@step=7:rank=1

On SIGTERM to any rank all ranks stop after the same step, rank 0 saves, and they leave with exit code 143: with 0 an
elastic agent would take the job for finished and not start it again.
"""

import argparse
import hashlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypedDict, TypeVar, cast

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

from resumable.launch.jobs.checkpoint import CheckpointError, CheckpointFolder
from resumable.samplers import ResumableDistributedSampler

STOPPED = 128 + signal.SIGTERM
NUM_HELD_OUT = 360

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    epochs: int
    batch_size: int
    """Per rank."""
    lr: float
    seed: int
    shuffle: bool
    drop_last: bool
    num_samples: int | None
    """Train on the first so many digits only; None is all 1437."""
    workers: int
    persistent_workers: bool
    backend: str
    device: str | None
    """None is the rank's own GPU under nccl, the CPU otherwise."""
    checkpoints: Path
    save_every: int
    """Steps."""
    keep: int


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """The options in `arguments`, or in the command line of this process."""
    parser = argparse.ArgumentParser(prog="digits", description="Learn handwritten digits under DDP, resumably.")
    parser.add_argument("--epochs", type=_positive, default=4)
    parser.add_argument("--batch-size", type=_positive, default=36, help="per rank")
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-shuffle", dest="shuffle", action="store_false")
    parser.add_argument("--drop-last", action="store_true", help="drop the tail that ranks cannot share, not pad it")
    parser.add_argument("--num-samples", type=_positive, help="train on the first so many digits only")
    parser.add_argument("--workers", type=int, default=0, help="loader workers of each rank")
    parser.add_argument("--persistent-workers", action="store_true")
    parser.add_argument("--backend", default="nccl" if torch.cuda.is_available() else "gloo")
    parser.add_argument("--device", help="default: the rank's own GPU under nccl, the CPU otherwise")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), metavar="DIR")
    parser.add_argument("--save-every", type=_positive, default=5, metavar="STEPS")
    parser.add_argument("--keep", type=_positive, default=3, help="how many checkpoints to keep")
    return Options(**vars(parser.parse_args(arguments)))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number


class StopSignal:
    """Remembers SIGTERM; the training loop asks between two steps."""

    def __init__(self) -> None:
        self.received = False
        signal.signal(signal.SIGTERM, self._remember)

    def _remember(self, _number: int, _frame: FrameType | None) -> None:
        self.received = True


class TrainingState(TypedDict):
    """All that decides how training goes on. There is no dropout, so no random state belongs to it."""

    model: dict[str, Any]
    optimizer: dict[str, Any]
    sampler: dict[str, Any]
    step: int
    loss: float


class Training:
    """The network and how far it has come."""

    def __init__(self, options: Options, data: TensorDataset, device: torch.device) -> None:
        torch.manual_seed(options.seed)
        network = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10)).to(device)
        self.device = device
        self.model = DistributedDataParallel(network)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=options.lr, momentum=0.9, nesterov=True)
        self.sampler = ResumableDistributedSampler(
            data,
            shuffle=options.shuffle,
            seed=options.seed,
            drop_last=options.drop_last,
            batch_size=options.batch_size,
        )
        self.step = 0
        self.loss = float("nan")

    def learn(self, features: Tensor, labels: Tensor, *, stop: bool) -> bool:
        """Make one step; True where any rank wants to stop, on all ranks alike."""
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(features.to(self.device)), labels.to(self.device))
        loss.backward()
        self.optimizer.step()
        self.sampler.commit()
        self.step += 1
        shared = torch.stack((loss.detach(), loss.new_tensor(stop)))
        dist.all_reduce(shared)
        self.loss = shared[0].item() / dist.get_world_size()
        return shared[1].item() > 0

    def state_dict(self) -> TrainingState:
        """The state after the last step; the same on every rank."""
        return {
            "model": self.model.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "sampler": self.sampler.state_dict(),
            "step": self.step,
            "loss": self.loss,
        }

    def load_state_dict(self, state: TrainingState) -> None:
        """Go on where `state` was taken."""
        self.model.module.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.sampler.load_state_dict(state["sampler"])
        self.step = state["step"]
        self.loss = state["loss"]


def join_process_group(options: Options) -> torch.device:
    """Meet the other ranks, or make a group of one where no launcher started this process."""
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device(options.device or (f"cuda:{local_rank}" if options.backend == "nccl" else "cpu"))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if "RANK" in os.environ:
        dist.init_process_group(options.backend)
    else:
        dist.init_process_group(options.backend, init_method="tcp://127.0.0.1:0", rank=0, world_size=1)
    return device


def digit_sets(num_samples: int | None) -> tuple[TensorDataset, TensorDataset]:
    """scikit-learn's digits as pixels around zero: those to learn from, and those held out."""
    pixels, labels = load_digits(return_X_y=True)
    features, targets = torch.tensor(pixels, dtype=torch.float32) / 8, torch.tensor(labels)
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    held_out, learned = order[:NUM_HELD_OUT], order[NUM_HELD_OUT:]
    center = features[learned].mean(dim=0)
    learned = learned[:num_samples]
    return (
        TensorDataset(features[learned] - center, targets[learned]),
        TensorDataset(features[held_out] - center, targets[held_out]),
    )


def on_rank_zero(action: Callable[[], T]) -> T:
    """Let rank 0 act and give every rank its result; if it fails, every rank leaves and says why."""
    outcome: list[Any] = [None, None]
    if dist.get_rank() == 0:
        try:
            outcome[0] = action()
        except CheckpointError as error:
            outcome[1] = str(error)
    dist.broadcast_object_list(outcome)
    result, failure = outcome
    if failure is not None:
        sys.exit(failure)
    return cast("T", result)


def resume(training: Training, checkpoints: CheckpointFolder) -> None:
    """Go on from the newest whole checkpoint; rank 0 chooses, so that no two ranks choose differently."""

    def choose() -> Path | None:
        checkpoints.prepare()
        found = checkpoints.newest()
        print(
            *(f"warning: skipped {damaged}\n" for damaged in found.skipped), sep="", end="", file=sys.stderr, flush=True
        )
        return found.path

    path = on_rank_zero(choose)
    if path is None:
        return
    training.load_state_dict(cast("TrainingState", checkpoints.load(path)))
    if dist.get_rank() == 0:
        print(f"resumed from {path}: epoch {training.sampler.epoch}, step {training.step}", flush=True)


def train(training: Training, data: TensorDataset, options: Options, save: Callable[[], object]) -> bool:
    """Train to the last epoch; False where SIGTERM ended it before."""
    stop = StopSignal()
    loader = DataLoader(
        data,
        batch_size=options.batch_size,
        sampler=training.sampler,
        num_workers=options.workers,
        persistent_workers=options.persistent_workers,
    )
    for epoch in range(training.sampler.epoch, options.epochs):
        training.sampler.set_epoch(epoch)
        for features, labels in loader:
            stopping = training.learn(features, labels, stop=stop.received)
            if stopping or training.step % options.save_every == 0:
                save()
            if stopping:
                return False
    if training.step % options.save_every:
        save()
    return True


def summary(training: Training, held_out: TensorDataset) -> str:
    """One line that two runs share only if they trained alike, to the last bit."""
    features, labels = held_out.tensors
    with torch.no_grad():
        guesses = training.model.module(features.to(training.device)).argmax(dim=1).cpu()
    accuracy = (guesses == labels).float().mean().item()
    digest = hashlib.sha256()
    for parameter in training.model.module.parameters():
        digest.update(parameter.detach().cpu().numpy().tobytes())
    return (
        f"trained {training.step} steps: loss {training.loss!r}, accuracy {accuracy:.4f}, "
        f"parameters {digest.hexdigest()[:16]}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, wherever the last life of this job ended."""
    options = parse_options(arguments)
    device = join_process_group(options)
    data, held_out = digit_sets(options.num_samples)
    training = Training(options, data, device)
    checkpoints = CheckpointFolder(path=options.checkpoints, keep=options.keep)
    resume(training, checkpoints)
    finished = train(
        training,
        data,
        options,
        lambda: on_rank_zero(lambda: checkpoints.save(training.state_dict(), step=training.step)),
    )
    if finished and dist.get_rank() == 0:
        print(summary(training, held_out), flush=True)
    dist.destroy_process_group()
    if not finished:
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
