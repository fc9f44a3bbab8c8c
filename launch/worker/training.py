"""Watches the training itself: backward passes, optimizer steps, and the parameters that the steps start from."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from launch.records import AnyRecord, Backward, Batch, Step
from launch.worker.digest import state_digest
from launch.worker.hooks import wrap
from launch.worker.position import Position
from launch.worker.recorder import Recorder


class TrainingWatch:
    """Tells the recorder of backward passes and optimizer steps in this process.

    A step without a backward pass before it is none: `torch.distributed.checkpoint` makes one to create optimizer state.
    Only a second optimizer that follows on the same backward pass counts, as part of the same step.
    """

    def __init__(self, recorder: Recorder, position: Position) -> None:
        self._recorder = recorder
        self._position = position
        self._optimizers: list[weakref.ref[torch.optim.Optimizer]] = []
        self._num_steps = 0
        self._has_backward = False
        self._before: str | None = None

    def install(self) -> None:
        """Wrap autograd's backward and hook every optimizer."""
        wrap(torch.optim.Optimizer, "__init__", self._around_optimizer_init)
        wrap(torch.autograd, "backward", self._around_backward)
        register_optimizer_step_pre_hook(self._before_step)
        register_optimizer_step_post_hook(self._after_step)

    def observe(self, record: AnyRecord) -> None:
        """With the first batches of a process, find out which step it resumes at: faults may ask for it."""
        if isinstance(record, Batch) and self._num_steps == 0 and not self._position.is_known:
            self._position.resume_at(self.state())

    def parameters(self) -> Iterator[torch.Tensor]:
        """Parameters of all optimizers that still exist, in the order in which these were made."""
        for reference in self._optimizers:
            optimizer = reference()
            if optimizer is not None:
                for group in optimizer.param_groups:
                    yield from group["params"]

    def state(self) -> str:
        """Digest of the parameters as they are now; the quick one."""
        return state_digest(self.parameters(), whole=False)

    def final_state(self) -> str | None:
        """Digest of every byte of them; None if the script has let all its optimizers go."""
        parameters = list(self.parameters())
        return state_digest(parameters, whole=True) if parameters else None

    def _around_optimizer_init(self, original: Callable[..., None]) -> Callable[..., None]:
        def init(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            self._optimizers.append(weakref.ref(optimizer))

        return init

    def _around_backward(self, original: Callable[..., None]) -> Callable[..., None]:
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            original(tensors, *args, **kwargs)
            self._has_backward = True
            self._recorder.emit(Backward, loss=_loss(tensors))

        return backward

    def _before_step(self, _optimizer: object, _args: object, _kwargs: object) -> None:
        if self._num_steps == 0:
            self._before = self.state()
            self._position.resume_at(self._before)

    def _after_step(self, _optimizer: object, _args: object, _kwargs: object) -> None:
        if not self._recorder.is_active or not (self._has_backward or self._position.is_after_step):
            return
        if self._has_backward:
            self._has_backward = False
            self._num_steps += 1
        after = self.state()
        self._recorder.emit(
            Step,
            step=self._num_steps - 1,
            before=self._before if self._num_steps == 1 else None,
            after=after,
            since_start=self._position.count_step(self._num_steps),
        )


def _loss(tensors: Any) -> float | None:
    """The scalar that a backward pass starts from; reading one from an accelerator would make it wait."""
    if isinstance(tensors, torch.Tensor) and tensors.numel() == 1 and tensors.device.type == "cpu":
        return float(tensors.detach())
    return None
