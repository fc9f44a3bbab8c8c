"""Watches the buffers of the modules that are trained: running statistics, for example, which no optimizer knows of."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable

import torch

from resumable.launch.worker import torch_private
from resumable.launch.worker.digest import state_digest
from resumable.launch.worker.patching import Args, Kwargs, Patches


class BufferWatch:
    """Knows every module with buffers; those count that a checkpoint holds and whose module has parameters that are trained.

    A module that only counts or measures is nobody's to restore.
    """

    def __init__(self) -> None:
        self._modules: weakref.WeakKeyDictionary[torch.nn.Module, None] = weakref.WeakKeyDictionary()
        """In the order in which they were made."""

    def install(self, patches: Patches) -> None:
        """Wrap the registration of buffers."""
        patches.wrap(torch.nn.Module, "register_buffer", self._around_registration)

    def state(self, parameters: Iterable[torch.Tensor]) -> str | None:
        """Digest of the buffers of modules that own some of these parameters; None if there are none."""
        trained = {id(parameter) for parameter in parameters}
        buffers = [
            buffer
            for module in list(self._modules)
            if not trained.isdisjoint(map(id, torch_private.own_parameters(module)))
            for buffer in torch_private.own_saved_buffers(module)
        ]
        return state_digest(buffers, whole=False) if buffers else None

    def _around_registration(
        self, original: Callable[..., None], module: torch.nn.Module, args: Args, kwargs: Kwargs
    ) -> None:
        original(*args, **kwargs)
        self._modules[module] = None
