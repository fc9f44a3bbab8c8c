"""Watches learning-rate schedulers: what they have counted shows whether they were restored."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from resumable.launch.worker.patching import Args, Kwargs, Patches


class SchedulerWatch:
    """Knows torch's schedulers of this process.

    One that only calls others (`SequentialLR`, `ChainedScheduler`) is known by those.
    """

    def __init__(self) -> None:
        self._schedulers: list[weakref.ref[Any]] = []

    def install(self, patches: Patches) -> None:
        """Wrap their construction; that on a plateau is on its own."""
        for kind in (LRScheduler, ReduceLROnPlateau):
            patches.wrap(kind, "__init__", self._around_init)

    def num_steps(self) -> int | None:
        """What the one that was stepped most has counted (`last_epoch`); None if there is none."""
        schedulers = [reference() for reference in self._schedulers]
        numbers = [getattr(scheduler, "last_epoch", None) for scheduler in schedulers]
        return max([number for number in numbers if isinstance(number, int)], default=None)

    def _around_init(self, original: Callable[..., None], scheduler: Any, args: Args, kwargs: Kwargs) -> None:
        original(*args, **kwargs)
        self._schedulers.append(weakref.ref(scheduler))
