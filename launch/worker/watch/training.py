"""Watches the training itself: backward passes, optimizer steps, and the state that the steps start from and leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.compiler import is_compiling
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, LetGo, Load, SkippedStep, State, Step
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.position import Position
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watch.forwards import ForwardWatch
from resumable.launch.worker.watch.gradients import GradientWatch
from resumable.launch.worker.watch.scalers import ScalerWatch, is_void
from resumable.launch.worker.watch.state import StateWatch, text_of


class TrainingWatch:
    """Records backward passes and optimizer steps in this process.

    A step without a backward pass before it is none: `torch.distributed.checkpoint` makes one to create optimizer state.
    Only a second optimizer that follows on the same backward pass counts, as part of the same step. An optimizer that
    another one steps (`ZeroRedundancyOptimizer`) is part of that one; those that step in hooks of a backward pass step with
    its end. A step that `torch.compile` has taken into what it compiles cannot be seen: what was seen next shows that it was
    done, when gradients had waited for it and a parameter is not what it was. A process of which no backward pass was ever
    seen may compute its gradients otherwise (`torch.func.grad`, `torch.autograd.grad`): a step with gradients that are not
    all zero is then one of the training, of the batches that forward passes got. Where no optimizer is one of torch's, what
    changes the parameters after a backward pass is a step, whoever makes it; it shows with the next line.

    Args:
        recorder: Gets the lines.
        position: Where training stands.
        forwards: Knows what the backward passes go back to.
        state: What is trained.
        keeps_states: Whether the state is looked at after each step.
    """

    def __init__(
        self,
        recorder: Recorder,
        position: Position,
        forwards: ForwardWatch,
        state: StateWatch,
        *,
        keeps_states: bool = True,
    ) -> None:
        self._recorder = recorder
        self._position = position
        self._forwards = forwards
        self._gradients = GradientWatch(state.trained)
        self._state = state
        self._keeps_states = keeps_states
        self._scalers = ScalerWatch(lambda: self._num_calls, self._record_skipped_step)
        self._before = ""
        """Parameters before the first step, and before the first one after a save or a load."""
        self._is_break_behind = False
        """A save or a load came since the last backward pass."""
        self._start: dict[str, Any] = {}
        """What there was before the first step."""
        self._is_start_due = True
        """It is not known yet, or not any more: something was loaded, or the step before was none of the training."""
        self._is_start_of_others = False
        """It is what there was before there was an optimizer of torch's."""
        self._depth = 0
        """Of optimizers that step within each other."""
        self._num_calls = 0
        """Steps that optimizers were asked for."""
        self._is_void = False
        """Whether the current step does nothing."""
        self._is_in_backward = False
        self._is_held_back = False
        self._is_open = False
        """Whether a backward pass came since the last step."""
        self._has_seen_backward = False
        self._are_steps_compiled = False
        """Whether any was taken into what `torch.compile` compiles."""
        self._waiting: str | None = None
        """Parameters after the last backward pass, where nobody announces the step that will change them."""
        self._kept: list[Any] = []
        """What they belong to, until that step: a function that makes it as its last deed may have returned."""
        self._scheduler_steps: int | None = None
        """What the schedulers had counted before the current step."""
        self._learning_rate: float | None = None
        self._stateless: list[torch.optim.Optimizer] = []
        """Optimizers of the current step that had no state before it."""

    def install(self, patches: Patches) -> None:
        """Wrap autograd's backward and hook every optimizer."""
        self._watch_backward(patches)
        self._watch_steps(patches)
        self._scalers.install(patches)
        patches.on_undo(self._close)

    def observe(self, record: AnyRecord) -> bool:
        """With the first batches of a process, find out which step it resumes at: faults may ask for it; then True."""
        if isinstance(record, Load):
            self._is_start_due = self._is_break_behind = True
        elif isinstance(record, State):
            self._is_break_behind = record.moment == "save"
        elif self._position.num_steps == 0 and isinstance(record, Batch) and not self._position.is_known:
            self._position.resume_at(text_of(self._state.parameters()))
        return isinstance(record, Batch) and self._position.is_learnt and self._position.num_steps > 0

    def _watch_backward(self, patches: Patches) -> None:
        before, after = patches.hidden(self._before_backward), patches.hidden(self._after_backward)

        def around(original: Callable[..., None]) -> Callable[..., None]:
            def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
                if is_compiling() or self._is_in_backward:  # one that is part of another: checkpointed activations
                    return original(tensors, *args, **kwargs)
                facts = before(tensors)
                self._is_in_backward = True
                try:
                    original(tensors, *args, **kwargs)
                finally:
                    self._is_in_backward = False
                    self._forwards.leave_backward()
                return after(tensors, facts)

            return backward

        patches.wrap_hot(torch.autograd, "backward", around)

    def _before_backward(self, tensors: Any) -> dict[str, Any]:
        """What the record of it says of what was before."""
        self._depth = 0  # an optimizer that failed has left its mark
        self._settle()
        self._state.optimizers.look()
        self._note_start()  # a compiled step will not be seen to begin
        self._has_seen_backward = True
        batches, beside = self._forwards.enter_backward(tensors)
        return {"batches": batches, "beside": beside, "carries": self._gradients.are_carried()}

    def _note_start(self) -> None:
        """Before the first backward pass: between it and the step, sharpness-aware training moves the parameters."""
        if self._position.num_steps > 0:
            if self._is_break_behind:
                self._is_break_behind, self._before = False, text_of(self._state.parameters())
            return
        are_others = self._state.optimizers.others is not None
        self._is_start_due |= self._is_start_of_others and not are_others
        if self._is_start_due:
            self._is_start_of_others = are_others
            self._before = text_of(self._state.parameters())
            self._is_start_due = not self._before  # no optimizer yet
            self._start = self._state.at_start()

    def _after_backward(self, tensors: Any, facts: dict[str, Any]) -> None:
        if (others := self._state.optimizers.others) is not None:
            self._kept = others.alive()
            self._waiting = text_of(self._state.parameters())
        self._gradients.remember()
        self._recorder.emit(Backward, loss=_scalar(tensors), scale=self._scalers.scale_of(tensors), **facts)
        self._is_open = True
        self._recorder.settle_with(self._settle)
        if self._is_held_back:
            self._is_held_back = False
            self._record_step()

    def _watch_steps(self, patches: Patches) -> None:
        before, after = patches.hidden(self._before_step), patches.hidden(self._after_step)
        note_compiled = patches.traced(self._note_compiled_step)

        def before_step(optimizer: torch.optim.Optimizer, _args: object, _kwargs: object) -> None:
            if is_compiling():
                note_compiled()
            else:
                before(optimizer)

        def after_step(optimizer: torch.optim.Optimizer, _args: object, _kwargs: object) -> None:
            if not is_compiling():
                after(optimizer)

        patches.skip(before_step)
        patches.skip(after_step)
        patches.on_undo(register_optimizer_step_pre_hook(before_step).remove)
        patches.on_undo(register_optimizer_step_post_hook(after_step).remove)

    def _note_compiled_step(self) -> None:
        if not self._are_steps_compiled:
            self._are_steps_compiled = True
            self._gradients.compare_parameters()

    def _before_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self._position.num_steps == 0 and self._depth == 0 and not self._is_held_back:
            self._note_start()
            self._position.resume_at(self._before)
        self._num_calls += 1
        self._is_void = is_void(optimizer)
        if not _has_state(optimizer):
            self._stateless.append(optimizer)
        self._scheduler_steps = self._state.small.num_steps_scheduled()
        groups = getattr(optimizer, "param_groups", ())
        self._learning_rate = _learning_rate(groups)
        if self._keeps_states and self._depth == 0:
            self._state.settings.look(groups)
        self._depth += 1

    def _after_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._depth -= 1
        self._state.optimizers.note_step(optimizer)
        if self._is_in_backward:
            self._is_held_back = True
        elif self._depth <= 0 and self._is_void:
            self._record_skipped_step()
        elif self._depth <= 0:
            if not self._has_seen_backward and self._gradients.are_there():
                self._recorder.emit(Backward, batches=self._forwards.take_fed())
            self._record_step()

    def _settle(self) -> None:
        """A compiled step may have been done, or gradients let go, which nothing of ours has seen."""
        if not self._is_open or self._is_in_backward or self._depth > 0:
            return
        if self._are_steps_compiled and self._gradients.have_parameters_changed():
            self._state.optimizers.note_steps()
            self._record_step()
        elif self._waiting is not None and self._waiting != text_of(self._state.parameters()):
            self._learning_rate = _learning_rate(self._state.groups())
            if self._position.num_steps == 0:
                self._position.resume_at(self._before)
            self._record_step()
        elif self._gradients.were_let_go():
            self._close()
            self._recorder.emit(LetGo)

    def _close(self) -> None:
        """What the last backward passes gave is used up."""
        self._is_open, self._waiting, self._kept = False, None, []
        self._recorder.settle_with(None)

    def _record_skipped_step(self) -> None:
        self._settle()
        if self._is_open:
            self._recorder.emit(SkippedStep)

    def _record_step(self) -> None:
        has_new_optimizer = any(map(_has_state, self._stateless))
        self._stateless.clear()
        position = self._position
        if not self._recorder.is_active or not (position.has_backward or position.is_after_step):
            self._is_start_due = True
            return
        self._close()
        since_start = position.count_step()  # from now on the job is known to have steps
        before, self._before = self._before, ""
        number = position.num_steps - (not position.has_backward)
        if number == 0 and self._start.get("components"):
            self._recorder.emit(State, **self._start)
        self._recorder.emit(
            Step,
            step=number,
            before=before or None,
            **(self._state_after_step() if self._keeps_states else {}),
            has_new_optimizer=has_new_optimizer,
            scheduler_steps=self._scheduler_steps,
            learning_rate=self._learning_rate,
            settings=self._state.settings.take(),
            since_start=since_start,
        )

    def _state_after_step(self) -> dict[str, Any]:
        components = self._state.after_step()
        return {
            "after": text_of(components.get("parameters", Fingerprint())),
            "buffers": text_of(components.get("buffers", Fingerprint())) or None,
            "components": components,
            "parameter_norm": self._state.parameter_norm(),
        }


def _has_state(optimizer: torch.optim.Optimizer) -> bool:
    """Whether it keeps anything about any parameter; one that wraps another may have no `state` of its own."""
    return len(getattr(optimizer, "state", ())) > 0


def _learning_rate(groups: Iterable[Mapping[str, Any]]) -> float | None:
    """The greatest of all groups; None if there is none."""
    rates = [_scalar(group.get("lr")) for group in groups]
    return max([rate for rate in rates if rate is not None], default=None)


def _scalar(value: Any) -> float | None:
    """The number that this is, also as a tensor; reading one from an accelerator would make it wait."""
    if isinstance(value, (float, int)):
        return float(value)
    return float(value.item()) if isinstance(value, torch.Tensor) and value.is_cpu and value.numel() == 1 else None
