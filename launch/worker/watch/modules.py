"""Finds the modules of this process, and what names their parameters and buffers have in the model.

Nothing of `torch.nn.Module` is wrapped: what is compiled would change with it, and a copy of a module is made without any
call that could be. The garbage collector knows all of them.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from resumable.launch.worker.torch_private import (
    WRAPPED_MODULES,
    all_buffers_of,
    buffers_of,
    children_of,
    is_made,
    own_parameters,
    unsaved_buffers_of,
)


class LiveModules:
    """The modules whose parameters are trained, and those around them."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[weakref.ref[torch.Tensor], str]] = {}
        self._buffers: list[tuple[weakref.ref[torch.nn.Module], dict[str, str]]] = []
        """Modules, and the paths of their buffers by the names that they have there."""
        self._unsaved: list[tuple[weakref.ref[torch.nn.Module], dict[str, str]]] = []
        """Likewise of buffers that no `state_dict()` holds."""
        self._holders: list[tuple[weakref.ref[torch.nn.Module], str, bool]] = []
        """Modules that may have something that no step trains, their paths, and whether their buffers are of it."""
        self._known: frozenset[int] = frozenset()
        self.gets_buffers = False
        """Some buffers, in the next forward pass, become those of the first rank of their group."""

    def follow(self, trained: Iterable[torch.Tensor]) -> None:
        """Look for modules, unless these parameters are those of the last time.

        Time: some 50 ms in a process with half a million objects.
        """
        trained = list(trained)
        ids = frozenset(map(id, trained))
        if ids == self._known and all(self._is_same(parameter) for parameter in trained):
            return
        self._known = ids
        self._names, self._buffers, self._unsaved, self._holders, self.gets_buffers = {}, [], [], [], False
        for root in _roots():
            self._note_tree(root, ids)
        for parameter in trained:
            self._names.setdefault(id(parameter), (weakref.ref(parameter), ""))

    def forget(self) -> None:
        """Look again the next time: modules may have been put into others since."""
        self._known = frozenset()

    def name_of(self, parameter: torch.Tensor) -> str:
        """Its path in the model; "" if no module has it. Of several names, the first in the alphabet."""
        reference, name = self._names.get(id(parameter), (None, ""))
        return name if reference is not None and reference() is parameter else ""

    def buffers(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Those of models with a parameter that is trained, as far as a checkpoint holds them.

        Without those that `DistributedDataParallel` is about to replace by another process's.
        """
        return _buffers_at(self._buffers)

    def unsaved(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Those that no checkpoint holds, of the same models."""
        return _buffers_at(self._unsaved)

    def untrained(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Frozen parameters, and all that modules have of which nothing is trained: a teacher, a loss that keeps a queue."""
        for reference, path, has_buffers in self._holders:
            module = reference()
            if module is None:
                continue
            for name, parameter in own_parameters(module):
                if id(parameter) not in self._known or not parameter.requires_grad:
                    yield _joined(path, name), parameter
            for name, buffer in buffers_of(module) if has_buffers else ():
                yield _joined(path, name), buffer

    def buffer_tensors(self) -> list[torch.Tensor]:
        """The tensors of `buffers` in its order, without their names: asked for with each step, and sooner there."""
        found: list[Any] = []
        for reference, paths in self._buffers:
            module = reference()
            if module is not None:
                found.extend(map(all_buffers_of(module).get, paths))
        is_any_missing = type(None) in set(map(type, found))
        return [buffer for buffer in found if buffer is not None] if is_any_missing else found

    def _is_same(self, parameter: torch.Tensor) -> bool:
        reference, _ = self._names.get(id(parameter), (None, ""))
        return reference is not None and reference() is parameter

    def _note_tree(self, root: torch.nn.Module, trained: frozenset[int]) -> None:
        tree = list(_walk(root))
        for path, module, _ in tree:
            for name, parameter in own_parameters(module):
                if id(parameter) in trained:
                    self._note_name(parameter, _joined(path, name))
        parameters = (parameter for _, module, _ in tree for _, parameter in own_parameters(module))
        is_untrained = trained.isdisjoint(map(id, parameters))
        for path, module, is_given in tree:
            has_buffers = is_untrained and not is_given and any(buffers_of(module))
            if has_buffers or any(own_parameters(module)):
                self._holders.append((weakref.ref(module), path, has_buffers))
        if is_untrained:
            return
        for path, module, is_given in tree:
            paths, unsaved = (
                {name: _joined(path, name) for name, _ in own}
                for own in (buffers_of(module), unsaved_buffers_of(module))
            )
            if is_given:
                self.gets_buffers |= bool(paths)
                continue
            self._buffers += [(weakref.ref(module), paths)] if paths else []
            self._unsaved += [(weakref.ref(module), unsaved)] if unsaved else []

    def _note_name(self, parameter: torch.Tensor, name: str) -> None:
        _, known = self._names.get(id(parameter), (None, name))
        self._names[id(parameter)] = weakref.ref(parameter), min(name, known)


def _buffers_at(
    places: Iterable[tuple[weakref.ref[torch.nn.Module], dict[str, str]]],
) -> Iterator[tuple[str, torch.Tensor]]:
    for reference, paths in places:
        module = reference()
        own = {} if module is None else all_buffers_of(module)
        for name, path in paths.items():
            buffer = own.get(name)
            if buffer is not None:
                yield path, buffer


def _roots() -> list[torch.nn.Module]:
    """All modules that are no part of another one."""
    is_module: dict[type, bool] = {}
    modules = []
    for thing in gc.get_objects():
        kind = type(thing)
        if kind not in is_module:
            is_module[kind] = torch.nn.Module in kind.__mro__
        if is_module[kind] and is_made(thing):
            modules.append(thing)
    inner = {id(child) for module in modules for _, child in children_of(module)}
    return [module for module in modules if id(module) not in inner]


def _walk(root: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module, bool]]:
    """Every module of a tree once, with its path and whether its buffers come from another process."""
    seen: set[int] = set()
    waiting = [("", root, False)]
    while waiting:
        path, module, is_given = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        is_given = is_given or _gets_buffers(module)
        yield path, module, is_given
        children = [(_joined(path, name), child, is_given) for name, child in children_of(module)]
        waiting.extend(reversed(children))


def _gets_buffers(module: torch.nn.Module) -> bool:
    """Whether, in the next forward pass, the buffers in it become those of the first rank of its group."""
    if not isinstance(module, DistributedDataParallel) or not getattr(module, "broadcast_buffers", False):
        return False
    return dist.is_initialized() and dist.get_rank(module.process_group) != 0


def _joined(path: str, name: str) -> str:
    if name in WRAPPED_MODULES:
        return path
    return f"{path}.{name}" if path else name
