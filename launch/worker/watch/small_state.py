"""Watches components that are of little size: schedulers, gradient scalers and random generators."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.amp.grad_scaler import GradScaler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from resumable.launch.worker.fingerprint.states import named_fingerprints
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.watch.instances import Instances
from resumable.launch.worker.watch.known_start import ByName


class SmallStateWatch:
    """Knows what there is of them in this process."""

    def __init__(self) -> None:
        self._schedulers = Instances(LRScheduler, ReduceLROnPlateau)
        self._scalers = Instances(GradScaler)

    def install(self, patches: Patches) -> None:
        """Watch what is made."""
        self._schedulers.install(patches)
        self._scalers.install(patches)

    def num_steps_scheduled(self) -> int | None:
        """What the scheduler that was stepped most has counted (`last_epoch`); None if there is none."""
        numbers = [getattr(scheduler, "last_epoch", None) for scheduler in self._schedulers.alive()]
        return max([number for number in numbers if isinstance(number, int)], default=None)

    def taken(self) -> dict[str, dict[str, Any]]:
        """Each component as it is now: nobody changes these objects later."""
        schedulers = [
            {name: value for name, value in vars(scheduler).items() if name != "optimizer"}
            for scheduler in self._schedulers.alive()
        ]
        scalers = [scaler.state_dict() for scaler in self._scalers.alive()]
        return {
            "schedulers": {str(number): state for number, state in enumerate(schedulers)},
            "scaler": {str(number): state for number, state in enumerate(scalers)},
            "random": {
                "python": random.getstate(),
                "numpy": np.random.get_state(legacy=False),
                "torch": torch.get_rng_state(),
                **({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_initialized() else {}),  # type: ignore[no-untyped-call]
            },
        }


def fingerprints_of(taken: Mapping[str, Mapping[str, Any]]) -> dict[str, ByName]:
    """Of components as they were taken; Python's own generator keeps many numbers, which are one thing."""
    generators = {name: repr(state) if name == "python" else state for name, state in taken.get("random", {}).items()}
    return {name: named_fingerprints(parts.items()) for name, parts in {**taken, "random": generators}.items()}
