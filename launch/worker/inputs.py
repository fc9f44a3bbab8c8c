"""Watches what a model is fed in a script that draws its batches itself, without any data loader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from launch.records import AnyRecord, Batch, EpochBegin, Loader
from launch.worker.digest import content_digest
from launch.worker.hooks import wrap
from launch.worker.recorder import Recorder

_FIRST_LOADER = 1_000
"""Numbers of data loaders stay below."""


@dataclass
class _Inputs:
    """The inputs of one kind of model, as if a data loader had delivered them."""

    loader: int
    num_batches: int = 0


class InputWatch:
    """Takes the inputs of each outermost forward for a batch, until a data loader delivers one.

    There are no indices, so the batches are known by the digest of their content; all are of one endless pass.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._is_inside = False
        self._loaders: dict[str, _Inputs] = {}
        self._original: Callable[..., Any] | None = None

    def install(self) -> None:
        """Wrap the call of every module; that is undone with the first batch of a data loader."""
        self._original = torch.nn.Module.__call__
        wrap(torch.nn.Module, "__call__", self._around_call)

    def observe(self, record: AnyRecord) -> None:
        """A data loader delivers to the training loop: its batches are what counts."""
        is_delivery = isinstance(record, Batch) and record.grad_enabled and record.loader < _FIRST_LOADER
        if is_delivery and self._original is not None:
            torch.nn.Module.__call__ = self._original  # type: ignore[method-assign]
            self._original = None

    def _around_call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            if self._is_inside or not torch.is_grad_enabled() or not self._recorder.is_active:
                return original(module, *args, **kwargs)
            self._note(type(module).__qualname__, (args, kwargs))
            self._is_inside = True
            try:
                return original(module, *args, **kwargs)
            finally:
                self._is_inside = False

        return call

    def _note(self, model: str, inputs: Any) -> None:
        if model not in self._loaders:
            self._loaders[model] = _Inputs(loader=_FIRST_LOADER + len(self._loaders))
            self._recorder.emit(Loader, loader=self._loaders[model].loader, dataset=f"inputs of {model}")
            self._recorder.emit(EpochBegin, loader=self._loaders[model].loader, epoch=0)
        own = self._loaders[model]
        digest = content_digest(inputs)
        self._recorder.emit(Batch, loader=own.loader, epoch=0, batch=own.num_batches, digest=digest)
        own.num_batches += 1
