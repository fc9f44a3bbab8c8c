"""Watches the training state of this process: what it starts from, what it has at each save, and at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import torch

from resumable.launch.evidence.fingerprints import Fingerprint, total
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, Load, Moment, State, Step
from resumable.launch.worker.fingerprint.quick import Named, QuickForms
from resumable.launch.worker.fingerprint.states import as_part, named_fingerprints, state_fingerprint
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.torch_private import version_of
from resumable.launch.worker.watch.known_start import ByName, KnownStart
from resumable.launch.worker.watch.modules import LiveModules
from resumable.launch.worker.watch.optimizers import Held, OptimizerWatch, parameters_of
from resumable.launch.worker.watch.settings import SettingsWatch
from resumable.launch.worker.watch.small_state import SmallStateWatch, fingerprints_of


class StateWatch:
    """Takes fingerprints of this process's training state.

    Args:
        recorder: Gets the lines.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._modules = LiveModules()
        self.optimizers = OptimizerWatch(self._keep_end)
        self.small = SmallStateWatch()
        self.settings = SettingsWatch(self._modules.name_of)
        self._quick = QuickForms()
        self._start = KnownStart()
        self._is_accumulating = False
        """A backward pass came since the last step."""
        self._end: tuple[dict[str, ByName], dict[str, Fingerprint]] | None = None
        """What the last optimizers held when they were gone."""

    def install(self, patches: Patches) -> None:
        """Watch what is made."""
        for watch in (self.optimizers, self.small):
            watch.install(patches)

    def observe(self, record: AnyRecord) -> bool:
        """Until the first backward pass, keep in mind what forward passes and schedulers change; then True."""
        match record:
            case Backward():
                self._start.is_over = self._is_accumulating = True
            case Step():
                self._is_accumulating = False
            case _ if self._start.is_over:
                return True
            case Load():
                self._start.buffers = self._start.untrained = None
                if held := self._held():
                    self._parameters(held)  # their names, in case that nothing is left to train: then no batch comes
            case Batch():
                if record.grad_enabled:
                    self.optimizers.look()
                self._prepare_start()
        return False

    def trained(self) -> Iterator[torch.Tensor]:
        """The parameters of all optimizers that still exist, each once."""
        yield from (parameter for _, parameter in parameters_of(self._held()))

    def groups(self) -> Iterator[dict[str, Any]]:
        """The groups of parameters of all optimizers that still exist."""
        yield from chain.from_iterable(own.groups for own in self._held())

    def parameters(self) -> Fingerprint:
        """Of all optimizers that still exist; the quick form."""
        return self.after_step().get("parameters", Fingerprint())

    def after_step(self) -> dict[str, Fingerprint]:
        """The quick form of each component; what a process does not have is left out."""
        return self._quick_forms(self._held())

    def parameter_norm(self) -> float:
        """Of the parameters of which the quick form was taken last."""
        return self._quick.norm("parameters")

    def at_start(self) -> dict[str, Any]:
        """The fields of a `State` before the first backward pass; a batch that a thread fetches from then on is too late."""
        held = self._held()
        start = self._start.current(are_others=self.optimizers.others is not None)
        start.is_over = True
        before = {
            "buffers": start.buffers or {},
            "gradients": start.gradients,
            "untrained": start.untrained or {},
            "unsaved": start.unsaved,
        }
        components = self._learned(held) | before | fingerprints_of(start.raw or {})
        components["parameters"] |= start.frozen
        quick = self._quick_forms(held)
        quick.pop("buffers", None)
        if start.quick_buffers is not None:
            quick["buffers"] = start.quick_buffers
        return _fields("start", components, quick)

    def note_save(self) -> None:
        """Record what this process has as it begins to save."""
        held = self._held()
        components = self._learned(held) | {
            "buffers": self._buffers(),
            "untrained": self._untrained(),
            "unsaved": self._unsaved(),
            **fingerprints_of(self.small.taken()),
        }
        if self._is_accumulating:
            components["gradients"] = self._gradients(self._parameters(held))
        settings = self.settings.of_all(own.groups for own in held if own.has_stepped)
        self._emit({**_fields("save", components, self._quick_forms(held)), "settings": settings})

    def note_end(self) -> str | None:
        """Record what this process ends with.

        Returns:
            The parameters among it as one text; None if no optimizer trained any.
        """
        held = self._held()
        if self._end is not None and not any(self.optimizers.counts(own) for own in held):
            components, quick = self._end
        else:
            components, quick = self._learned(held), self._quick_forms(held)
        if any(own.has_stepped for own in held):
            components["buffers"] = self._buffers()
        self._emit(_fields("end", components, quick))
        parameters = components["parameters"]
        return text_of(total(parameters.values())) if parameters else None

    def _held(self) -> list[Held]:
        return self.optimizers.held()

    def _keep_end(self, held: list[Held]) -> None:
        if self.optimizers.has_trained or all(self._modules.name_of(parameter) for _, parameter in parameters_of(held)):
            self._end = self._learned(held), self._quick_forms(held)
        self._quick.forget()

    def _emit(self, fields: dict[str, Any]) -> None:
        if fields["components"]:
            self._recorder.emit(State, **fields)

    def _parameters(self, held: Iterable[Held]) -> list[Named]:
        placed = list(parameters_of(held))
        self._modules.follow(parameter for _, parameter in placed)
        return [(self._modules.name_of(parameter) or place, parameter) for place, parameter in placed]

    def _learned(self, held: Sequence[Held]) -> dict[str, ByName]:
        """Parameters and optimizer, every element of them."""
        parameters = self._parameters(held)
        return {
            "parameters": named_fingerprints(parameters),
            "optimizer": _merged(
                {name: as_part(one) if own.is_partition else one for name, one in states.items()}
                for own in held
                for states in [named_fingerprints(self._states(own, parameters))]
            ),
        }

    def _states(self, held: Held, parameters: Sequence[Named]) -> Iterator[tuple[str, Any]]:
        names = {id(parameter): name for name, parameter in parameters}
        for key, state in held.states():
            yield names.get(id(key), "?") if isinstance(key, torch.Tensor) else str(key), state

    def _buffers(self) -> ByName:
        return named_fingerprints(self._modules.buffers())

    def _untrained(self) -> ByName:
        return _merged(
            {name: state_fingerprint(one, is_whole=False, path=name)} for name, one in self._modules.untrained()
        )

    def _unsaved(self) -> ByName:
        return {name: state_fingerprint(one, is_whole=False, path=name) for name, one in self._modules.unsaved()}

    def _gradients(self, parameters: Sequence[Named]) -> ByName:
        return named_fingerprints((name, one.grad) for name, one in parameters if one.grad is not None)

    def _quick_forms(self, held: Sequence[Held]) -> dict[str, Fingerprint]:
        """What is not there is left out; without parameters there is nothing."""
        trained = list(chain.from_iterable(own.parameters for own in held))
        if not trained:
            return {}
        kept = list(chain.from_iterable(own.kept() for own in held))
        is_all_tensors = set(map(type, kept)) <= {torch.Tensor}
        tensors = kept if is_all_tensors else [value for value in kept if isinstance(value, torch.Tensor)]
        forms = self._quick.take([*trained, *tensors, *self._modules.buffer_tensors()], lambda: self._components(held))
        partition = forms.pop("partition")
        if partition.num_whole or partition.num_part:
            forms["optimizer"] += as_part(partition)
        if len(kept) > len(tensors):
            forms["optimizer"] += self._quick_numbers(held)
        return {component: form for component, form in forms.items() if form != Fingerprint()}

    def _components(self, held: Sequence[Held]) -> dict[str, list[Named]]:
        parameters = self._parameters(held)
        kept: dict[bool, list[Named]] = {False: [], True: []}
        for own in held:
            leaves = self._leaves(own, parameters)
            kept[own.is_partition] += [leaf for leaf in leaves if isinstance(leaf[1], torch.Tensor)]
        buffers = list(self._modules.buffers())
        return {"parameters": parameters, "optimizer": kept[False], "partition": kept[True], "buffers": buffers}

    def _quick_numbers(self, held: Sequence[Held]) -> Fingerprint:
        """Of what optimizers keep beside tensors, which is different each time."""
        parameters = self._parameters(held)
        forms = Fingerprint()
        for own in held:
            leaves = (leaf for leaf in self._leaves(own, parameters) if not isinstance(leaf[1], torch.Tensor))
            form = total(state_fingerprint(value, is_whole=False, path=path) for path, value in leaves)
            forms += as_part(form) if own.is_partition else form
        return forms

    def _leaves(self, held: Held, parameters: Sequence[Named]) -> Iterator[tuple[str, Any]]:
        for name, state in self._states(held, parameters):
            for key, value in state.items() if isinstance(state, dict) else (("", state),):
                yield f"{name}/{key}", value

    def _prepare_start(self) -> None:
        """With each batch before the first backward pass, of which there are many where a script skips batches."""
        start, held = self._start.current(are_others=self.optimizers.others is not None), self._held()
        if start.untrained is None:  # a model may be put into another module behind a load, and have other names there
            self._modules.forget()
            self._quick.forget()
        start.raw = self.small.taken()
        gradients = [one.grad for own in held for one in own.parameters if one.grad is not None]
        seen = [(id(gradient), version_of(gradient)) for gradient in gradients]
        if seen != start.seen:
            start.seen = seen
            start.gradients = self._gradients(self._parameters(held))
        if start.untrained is None and (parameters := self._parameters(held)):
            start.untrained, start.unsaved = self._untrained(), self._unsaved()
            start.frozen = _frozen(parameters)
        if start.buffers is None and self._parameters(held) and not self._modules.gets_buffers:
            start.buffers = self._buffers()
            start.quick_buffers = self.after_step().get("buffers", Fingerprint())


def text_of(fingerprint: Fingerprint) -> str:
    """A fingerprint as one word."""
    return fingerprint.whole + fingerprint.part


def _fields(moment: Moment, components: dict[str, ByName], quick: dict[str, Fingerprint]) -> dict[str, Any]:
    return {
        "moment": moment,
        "components": {name: parts for name, parts in components.items() if parts},
        "quick": quick,
    }


def _frozen(parameters: Sequence[Named]) -> ByName:
    """Of those that get no gradient: a forward pass may set them, as momentum encoders do."""
    trained = {name for name, one in parameters if one.requires_grad}
    return named_fingerprints((name, one) for name, one in parameters if not one.requires_grad and name not in trained)


def _merged(parts: Iterable[ByName]) -> ByName:
    merged: ByName = {}
    for own in parts:
        for name, one in own.items():
            merged[name] = merged[name] + one if name in merged else one
    return merged
