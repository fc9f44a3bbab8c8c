"""Watches gradient scalers: they multiply losses, and leave a step out where they find gradients that are not finite."""

from __future__ import annotations

import weakref
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
        self._scaled: Callable[[], object] = lambda: None
        """The last loss that any made, as long as it lives."""
        self._scale: float | None = None

    def install(self, patches: Patches) -> None:
        """Wrap what they do with losses and steps."""
        num_calls, after = patches.hidden(self._num_calls), patches.hidden(self._after)
        note = patches.hidden(self._note)

        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def step(scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
                if is_compiling() or not isinstance(optimizer, torch.optim.Optimizer):
                    return original(scaler, optimizer, *args, **kwargs)
                num_before = num_calls()
                result = original(scaler, optimizer, *args, **kwargs)
                after(num_before)
                return result

            return step

        def around_scale(original: Callable[..., Any]) -> Callable[..., Any]:
            def scale(scaler: Any, outputs: Any) -> Any:
                result = original(scaler, outputs)
                if not is_compiling():
                    note(scaler, result)
                return result

            return scale

        patches.wrap_hot(torch.amp.GradScaler, "step", around)
        patches.wrap_hot(torch.amp.GradScaler, "scale", around_scale)

    def scale_of(self, loss: object) -> float | None:
        """What a scaler has multiplied this loss by; None where none was seen to."""
        return self._scale if loss is not None and self._scaled() is loss else None

    def _note(self, scaler: Any, result: object) -> None:
        # To ask an accelerator would make it wait, and losses there are not recorded.
        if isinstance(result, torch.Tensor) and result.device.type == "cpu" and scaler.is_enabled():
            self._scaled, self._scale = weakref.ref(result), scaler.get_scale()

    def _after(self, num_before: int) -> None:
        if self._num_calls() == num_before:
            self._skipped()


def is_void(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step that the optimizer is asked for does nothing: a scaler has handed a fused one what it has found."""
    found = getattr(optimizer, "found_inf", None)
    return isinstance(found, torch.Tensor) and bool(found)
