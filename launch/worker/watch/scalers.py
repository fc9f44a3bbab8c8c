"""Watches gradient scalers, which leave an optimizer's step out where they find gradients that are not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.compiler import is_compiling

from resumable.launch.worker.patching import Patches


class ScalerWatch:
    """Looks whether the optimizer was called; torch's own scaler is the base of all others, and of accelerate's.

    Args:
        num_calls: How many steps any optimizer was asked for until now.
        skipped: Called where none was.
    """

    def __init__(self, num_calls: Callable[[], int], skipped: Callable[[], None]) -> None:
        self._num_calls = num_calls
        self._skipped = skipped

    def install(self, patches: Patches) -> None:
        """Wrap their step."""
        num_calls, after = patches.hidden(self._num_calls), patches.hidden(self._after)

        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def step(scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
                if is_compiling() or not isinstance(optimizer, torch.optim.Optimizer):
                    return original(scaler, optimizer, *args, **kwargs)
                num_before = num_calls()
                result = original(scaler, optimizer, *args, **kwargs)
                after(num_before)
                return result

            return step

        patches.wrap_hot(torch.amp.GradScaler, "step", around)

    def _after(self, num_before: int) -> None:
        if self._num_calls() == num_before:
            self._skipped()


def is_void(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step that the optimizer is asked for does nothing: a scaler has handed a fused one what it has found."""
    found = getattr(optimizer, "found_inf", None)
    return isinstance(found, torch.Tensor) and bool(found)
