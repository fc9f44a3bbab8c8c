"""Watches what models are fed: which batches the forward passes get, and to which of them a backward pass goes back.

A script may draw its batches itself, without any data loader, or warm up with some of its own making: what a model is fed
then counts as a batch too. There are no indices, so these are known by the digest of their content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.compiler import is_compiling, is_dynamo_compiling

from resumable.launch.evidence.rank_records import FIRST_INPUT, AnyRecord, Batch, EpochBegin, EpochEnd, Loader, Step
from resumable.launch.worker.digest import content_digest
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watch.deliveries import Deliveries
from resumable.launch.worker.watch.graph_marks import lines_behind, mark
from resumable.launch.worker.watch.tensors import tensors_in

_ENOUGH = 3
"""Steps on batches of data loaders, after which a script is known to take its batches from those."""


@dataclass
class _Inputs:
    """The inputs of one kind of model, as if a data loader had delivered them."""

    loader: int
    num_batches: int = 0


class ForwardWatch:
    """Looks at each outermost call of a module while autograd is on.

    What it is fed is known by the memory of the batches that were delivered. Where no data loader has delivered anything, it
    counts as a batch of its own; all of those are of one endless pass.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._is_inside = False
        self._deliveries = Deliveries()
        self._fed: dict[int, None] = {}
        """Lines of the batches that forward passes got since the last backward pass."""
        self._has_marks = False
        self._inputs: dict[str, _Inputs] = {}
        self._delivered: set[int] = set()
        """Loaders that have delivered since the last step; it may have taken several passes over the same batch."""
        self._wholes: set[int] = set()
        """Loaders that give all their data at once, to be cut up by hand perhaps."""
        self._num_fed = 0

    def install(self, patches: Patches) -> None:
        """Wrap the call of every module."""
        before, after = patches.hidden(self._before), patches.hidden(self._after)

        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
                # For each module of a model: what costs least comes first, of what the compiler folds away.
                if is_dynamo_compiling() or self._is_inside or not torch.is_grad_enabled() or is_compiling():
                    return original(module, *args, **kwargs)
                self._is_inside = True
                try:
                    lines = before(module, (args, kwargs) if kwargs else args)
                    output = original(module, *args, **kwargs)
                finally:
                    self._is_inside = False
                after(lines, output)
                return output

            return call

        patches.wrap_hot(torch.nn.Module, "__call__", around)

    def observe(self, record: AnyRecord) -> bool:
        """Follow what the data loaders deliver to the training loop; True once it is known to take its batches there."""
        match record:
            case Batch():
                if record.grad_enabled and record.loader < FIRST_INPUT and record.loader not in self._wholes:
                    self._delivered.add(record.loader)
            case Step():
                self._num_fed += bool(self._delivered)
                self._delivered.clear()
            case EpochEnd():
                self._delivered.discard(record.loader)
            case Loader():
                if record.num_batches == 1:
                    self._wholes.add(record.loader)
                return False
        return self._num_fed >= _ENOUGH

    def deliver(self, batches: Iterable[Batch], data: Any) -> None:
        """The training loop has received this, which was recorded just now."""
        lines = [one.sequence for one in batches if one.grad_enabled and one.loader not in self._wholes]
        if lines:
            self._deliveries.note(data, *lines)

    def enter_backward(self, roots: Any) -> tuple[list[int] | None, list[int]]:
        """A backward pass begins; a forward pass within it is done for the second time.

        Args:
            roots: The tensors that it starts from.

        Returns:
            Lines of the batches to which it goes back, None where nothing shows; and of others that forward passes got.
        """
        self._is_inside = True
        lines = lines_behind(tensors_in(roots)) if self._has_marks else set()
        beside = [line for line in self._fed if line not in lines]
        self._fed.clear()
        return (sorted(lines) or None), beside

    def take_fed(self) -> list[int] | None:
        """Lines of the batches that forward passes got since the last backward pass; None where nothing shows."""
        lines = sorted(self._fed)
        self._fed.clear()
        return lines or None

    def leave_backward(self) -> None:
        """It is over."""
        self._is_inside = False

    def _before(self, module: torch.nn.Module, inputs: Any) -> frozenset[int]:
        """Lines of the batches that a module is fed, or that what it is fed was made of."""
        if not self._recorder.is_active:
            return frozenset()
        tensors = tensors_in(inputs)
        lines = self._deliveries.lines_of(tensors)
        behind = lines_behind(tensors) if self._has_marks else set()
        if not lines and not behind and not self._delivered and self._num_fed < _ENOUGH:
            lines = self._note(type(module).__qualname__, inputs)
        self._fed.update(dict.fromkeys(lines))
        return frozenset(lines | behind)

    def _after(self, lines: frozenset[int], output: Any) -> None:
        if lines:
            mark(output, lines)
            self._has_marks = True

    def _note(self, model: str, inputs: Any) -> set[int]:
        if model not in self._inputs:
            self._inputs[model] = _Inputs(loader=FIRST_INPUT + len(self._inputs))
            self._recorder.emit(Loader, loader=self._inputs[model].loader, dataset=f"inputs of {model}")
            self._recorder.emit(EpochBegin, loader=self._inputs[model].loader, epoch=0)
        own = self._inputs[model]
        batch = self._recorder.emit(
            Batch, loader=own.loader, epoch=0, batch=own.num_batches, digest=content_digest(inputs)
        )
        own.num_batches += 1
        return set() if batch is None else {batch.sequence}
