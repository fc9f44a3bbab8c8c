"""The built-in job, with notes of when it trained, for any launcher: `scale_job.py NOTES PARENT VICTIM ARGUMENT...`.

Each process leaves in the folder NOTES when it had trained its first batch, and rank 0 once how much memory is held and
processor time was taken by the launcher, which PARENT has started, and by all below it. Then the rank VICTIM kills itself;
-1 is none.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import torch.distributed as dist
from torch import Tensor

from resumable.launch.jobs import digits

HELD, KILLED = "held", "killed"
_HELD_AFTER, _KILLED_AFTER = 5, 6
"""Steps; the first checkpoint has five."""


class NotedTraining(digits.Training):
    """Trains as the built-in job does."""

    notes: Path
    parent: int
    victim: int
    life: int
    """0 is the first."""
    has_trained = False

    def learn(self, features: Tensor, labels: Tensor, *, stop: bool) -> bool:
        """Make one step; it may be the last."""
        is_stopping = super().learn(features, labels, stop=stop)
        if not self.has_trained:
            self.has_trained = True
            (self.notes / f"life-{self.life}-rank-{dist.get_rank()}").write_text(str(time.monotonic()))
        if self.life == 0 and self.step == _HELD_AFTER and dist.get_rank() == 0:
            (self.notes / HELD).write_text("{} {}".format(*held_below(self.parent)))
        if self.life == 0 and self.step == _KILLED_AFTER and dist.get_rank() == self.victim:
            (self.notes / KILLED).write_text(str(time.monotonic()))
            os.kill(os.getpid(), signal.SIGKILL)
        return is_stopping


def held_below(parent: int) -> tuple[int, float]:
    """What this process's ancestor that is a child of `parent`, and all below it, hold and have taken.

    Returns:
        Bytes of memory (PSS: what is shared is divided), and seconds of processor time, ended children included.
    """
    root = next(process for process in psutil.Process().parents() if process.ppid() == parent)
    family = (root, *root.children(recursive=True))
    size_bytes = sum(int(process.memory_full_info().pss) for process in family)
    times = [process.cpu_times() for process in family]
    return size_bytes, sum(own.user + own.system + own.children_user + own.children_system for own in times)


if __name__ == "__main__":
    NotedTraining.notes = Path(sys.argv[1])
    NotedTraining.parent, NotedTraining.victim = int(sys.argv[2]), int(sys.argv[3])
    NotedTraining.life = int((NotedTraining.notes / HELD).exists())
    NotedTraining.notes.mkdir(parents=True, exist_ok=True)
    digits.Training = NotedTraining  # type: ignore[misc]
    digits.main(sys.argv[4:])
