"""Watches what a model is fed in a script that draws its batches itself, without any data loader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from resumable.launch.evidence.rank_records import FIRST_INPUT, AnyRecord, Backward, Batch, EpochBegin, EpochEnd, Loader
from resumable.launch.worker.digest import content_digest
from resumable.launch.worker.patching import Patches, Undo
from resumable.launch.worker.recorder import Recorder

_ENOUGH = 3
"""Backward passes on batches of data loaders, after which a script is known to take its batches from those."""


@dataclass
class _Inputs:
    """The inputs of one kind of model, as if a data loader had delivered them."""

    loader: int
    num_batches: int = 0


class InputWatch:
    """Takes the inputs of each outermost forward for a batch where no data loader has delivered one.

    A script may take what it trains on from no loader, or not at first: it warms up with a batch of its own making. There
    are no indices, so these batches are known by the digest of their content; all are of one endless pass.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._is_inside = False
        self._loaders: dict[str, _Inputs] = {}
        self._unwrap: Undo | None = None
        self._delivered: set[int] = set()
        """Loaders that have delivered since the last backward pass."""
        self._wholes: set[int] = set()
        """Loaders that give all their data at once, to be cut up by hand perhaps."""
        self._num_fed = 0

    def install(self, patches: Patches) -> None:
        """Wrap the call of every module; that is undone where data loaders feed the training."""
        self._unwrap = patches.wrap_hot(torch.nn.Module, "__call__", self._around_call)

    def observe(self, record: AnyRecord) -> None:
        """Follow what the data loaders deliver to the training loop."""
        match record:
            case Loader(num_batches=1):
                self._wholes.add(record.loader)
            case Batch() if record.grad_enabled and record.loader < FIRST_INPUT and record.loader not in self._wholes:
                self._delivered.add(record.loader)
            case EpochEnd():
                self._delivered.discard(record.loader)
            case Backward():
                self._num_fed += bool(self._delivered)
                self._delivered.clear()
        if self._num_fed == _ENOUGH and self._unwrap is not None:
            self._unwrap()
            self._unwrap = None

    def _around_call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            if self._is_inside or not torch.is_grad_enabled() or not self._recorder.is_active:
                return original(module, *args, **kwargs)
            if not self._delivered:
                self._note(type(module).__qualname__, (args, kwargs))
            self._is_inside = True
            try:
                return original(module, *args, **kwargs)
            finally:
                self._is_inside = False

        return call

    def _note(self, model: str, inputs: Any) -> None:
        if model not in self._loaders:
            self._loaders[model] = _Inputs(loader=FIRST_INPUT + len(self._loaders))
            self._recorder.emit(Loader, loader=self._loaders[model].loader, dataset=f"inputs of {model}")
            self._recorder.emit(EpochBegin, loader=self._loaders[model].loader, epoch=0)
        own = self._loaders[model]
        digest = content_digest(inputs)
        self._recorder.emit(Batch, loader=own.loader, epoch=0, batch=own.num_batches, digest=digest)
        own.num_batches += 1
