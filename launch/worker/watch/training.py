"""Watches the training itself: backward passes, optimizer steps, and the state that the steps start from and leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, State, Step
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.position import Position
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watch.state import StateWatch, text_of


class TrainingWatch:
    """Records backward passes and optimizer steps in this process.

    A step without a backward pass before it is none: `torch.distributed.checkpoint` makes one to create optimizer state.
    Only a second optimizer that follows on the same backward pass counts, as part of the same step. An optimizer that
    another one steps (`ZeroRedundancyOptimizer`) is part of that one; those that step in hooks of a backward pass step with
    its end.

    Args:
        recorder: Gets the lines.
        position: Where training stands.
        state: What is trained.
    """

    def __init__(self, recorder: Recorder, position: Position, state: StateWatch) -> None:
        self._recorder = recorder
        self._position = position
        self._state = state
        self._before: str | None = None
        self._start: dict[str, Any] = {}
        """What there was before the first step."""
        self._depth = 0
        """Of optimizers that step within each other."""
        self._is_in_backward = False
        self._is_held_back = False
        self._scheduler_steps: int | None = None
        """What the schedulers had counted before the current step."""
        self._learning_rate: float | None = None
        self._stateless: list[torch.optim.Optimizer] = []
        """Optimizers of the current step that had no state before it."""

    def install(self, patches: Patches) -> None:
        """Wrap autograd's backward and hook every optimizer."""
        patches.wrap_hot(torch.autograd, "backward", self._around_backward)
        patches.on_undo(register_optimizer_step_pre_hook(self._before_step).remove)
        patches.on_undo(register_optimizer_step_post_hook(self._after_step).remove)

    def observe(self, record: AnyRecord) -> None:
        """With the first batches of a process, find out which step it resumes at: faults may ask for it."""
        if isinstance(record, Batch) and self._position.num_steps == 0 and not self._position.is_known:
            self._position.resume_at(text_of(self._state.parameters()))

    def _around_backward(self, original: Callable[..., None]) -> Callable[..., None]:
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            self._depth = 0  # an optimizer that failed has left its mark
            self._is_in_backward = True
            try:
                original(tensors, *args, **kwargs)
            finally:
                self._is_in_backward = False
            self._recorder.emit(Backward, loss=_scalar(tensors))
            if self._is_held_back:
                self._is_held_back = False
                self._record_step()

        return backward

    def _before_step(self, optimizer: torch.optim.Optimizer, _args: object, _kwargs: object) -> None:
        if self._position.num_steps == 0 and self._depth == 0 and not self._is_held_back:
            self._before = text_of(self._state.parameters())
            self._position.resume_at(self._before)
            self._start = self._state.at_start()
        if not _has_state(optimizer):
            self._stateless.append(optimizer)
        self._scheduler_steps = self._state.num_steps_scheduled()
        self._learning_rate = _learning_rate(optimizer)
        self._depth += 1

    def _after_step(self, optimizer: torch.optim.Optimizer, _args: object, _kwargs: object) -> None:
        self._depth -= 1
        self._state.optimizers.note_step(optimizer)
        if self._is_in_backward:
            self._is_held_back = True
        elif self._depth <= 0:
            self._record_step()

    def _record_step(self) -> None:
        has_new_optimizer = any(map(_has_state, self._stateless))
        self._stateless.clear()
        position = self._position
        if not self._recorder.is_active or not (position.has_backward or position.is_after_step):
            return
        number = position.num_steps - (not position.has_backward)
        if number == 0 and self._start.get("components"):
            self._recorder.emit(State, **self._start)
        components = self._state.after_step()
        self._recorder.emit(
            Step,
            step=number,
            before=self._before if number == 0 else None,
            after=text_of(components.get("parameters", Fingerprint())),
            buffers=text_of(components.get("buffers", Fingerprint())) or None,
            components=components,
            parameter_norm=self._state.parameter_norm(),
            has_new_optimizer=has_new_optimizer,
            scheduler_steps=self._scheduler_steps,
            learning_rate=self._learning_rate,
            since_start=position.count_step(),
        )


def _has_state(optimizer: torch.optim.Optimizer) -> bool:
    """Whether it keeps anything about any parameter; one that wraps another may have no `state` of its own."""
    return len(getattr(optimizer, "state", ())) > 0


def _learning_rate(optimizer: torch.optim.Optimizer) -> float | None:
    """The greatest of all groups; None if there is none."""
    rates = [_scalar(group.get("lr")) for group in getattr(optimizer, "param_groups", ())]
    return max([rate for rate in rates if rate is not None], default=None)


def _scalar(value: Any) -> float | None:
    """The number that this is, also as a tensor; reading one from an accelerator would make it wait."""
    if isinstance(value, torch.Tensor) and value.numel() == 1 and value.device.type == "cpu":
        return float(value.detach())
    return float(value) if isinstance(value, float | int) else None
