"""Jobs that differ in which files they write, and when they load one."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from frame import Job
from torch.utils.data import DataLoader


class Turning(Job):
    """A folder a checkpoint, and a link to the newest. Bug: it `turns` the link, and deletes, before it has saved."""

    save_every = 4
    link = Path("latest")

    def save(self) -> None:
        if self.rank == 0:
            folder, old = Path(f"step-{self.step}"), self.link.resolve() if self.link.is_symlink() else None
            folder.mkdir(exist_ok=True)
            if self.bug == "turns":
                self.turn(folder, old)
            torch.save(self.state(), folder / "state.pt")
            if self.bug != "turns":
                self.turn(folder, old)
        dist.barrier()

    def turn(self, folder: Path, old: Path | None) -> None:
        Path("link").symlink_to(folder)
        os.replace("link", self.link)  # noqa: PTH105 -- as most scripts do it
        if old is not None and old != folder.resolve():
            (old / "state.pt").unlink(missing_ok=True)

    def resume(self) -> None:
        try:
            state = torch.load(self.link / "state.pt")
        except (OSError, RuntimeError, EOFError):
            return
        self.restore(state)


class Exporting(Job):
    """Writes the network when all is trained. Bug: not where `nothing` was left to train."""

    save_every = 8
    num_epochs = 2

    def train(self) -> None:
        done_before = self.done
        super().train()
        has_trained = self.done > done_before
        if self.rank == 0 and (has_trained or self.bug != "nothing"):
            torch.save(self.net.state_dict(), "model.pt")
        dist.barrier()


class Linking(Job):
    """The first checkpoint is a link to weights of the user's, whose place is the last argument."""

    save_every = 5

    def resume(self) -> None:
        checkpoint = Path("checkpoint.pt")
        if self.rank == 0 and not checkpoint.exists():
            Path("link").symlink_to(sys.argv[-1])
            Path("link").replace(checkpoint)
        dist.barrier()
        self.net.load_state_dict(torch.load(checkpoint)["net"])
        self.step = self.done = torch.load(checkpoint).get("step", 0)

    def learn(self, batch: Any) -> None:
        dist.barrier()  # so that no rank is ahead of the one that is to fail
        super().learn(batch)


class OddlyNamed(Job):
    """The name of its checkpoint is no text."""

    def save(self) -> None:
        if self.rank == 0:
            with open(b"ck\xff.tmp", "wb") as file:  # noqa: PTH123 -- a path of bytes
                torch.save(self.state(), file)
            os.replace(b"ck\xff.tmp", b"ck\xff.pt")  # noqa: PTH105
        dist.barrier()

    def resume(self) -> None:
        if os.path.exists(b"ck\xff.pt"):  # noqa: PTH110
            with open(b"ck\xff.pt", "rb") as file:  # noqa: PTH123
                self.restore(torch.load(file))


class Preempted(Job):
    """Saves when it is told to stop, and only then; its loader has workers. Bug: they `die` of the same signal."""

    num_workers = 2
    is_told = False

    def __init__(self, bug: str) -> None:
        super().__init__(bug)
        signal.signal(signal.SIGTERM, self.tell)

    def tell(self, _number: int, _frame: FrameType | None) -> None:
        self.is_told = True

    def make_loader(self) -> Any:
        handler = signal.SIG_DFL if self.bug == "die" else signal.SIG_IGN
        return DataLoader(
            self.data,
            batch_size=4,
            sampler=self.sampler,
            num_workers=2,
            worker_init_fn=lambda _worker: signal.signal(signal.SIGTERM, handler),
        )

    def after_batch(self) -> None:
        told = torch.tensor(float(self.is_told))
        dist.all_reduce(told)
        if told > 0:
            self.save()
            os._exit(75)


class HangingOnce(Job):
    """Stands still once, before its first step, where a fault is planned: that is nobody's plan."""

    def train(self) -> None:
        marks = Path("hung")
        if "faulted" in str(Path.cwd()) and self.rank == 0 and not marks.exists():
            marks.touch()
            time.sleep(1000)
        super().train()
