"""Finds the tensors in what a loader delivers, and in what a module gets and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from resumable.launch.worker.strangers import asked
from resumable.launch.worker.torch_private import seen_through

_MOST_VALUES = 256
_MOST_TENSORS = 64
_KINDS = frozenset({torch.Tensor, torch.nn.Parameter})
_ATOMS = (str, bytes, int, float, complex, type(None), torch.nn.Module, type)


def tensors_in(data: Any) -> Sequence[torch.Tensor]:
    """Tensors in nested mappings, sequences and objects that only hold values, in their order.

    One that a transform of `torch.func` has wrapped is given bare. Of what is larger than any batch needs to be, the first
    ones: at most 64, among 256 values.
    """
    kind = type(data)
    if issubclass(kind, torch.Tensor):  # unlike `isinstance`, this asks no object: it might lie
        return (seen_through(data),)
    if (kind is list or kind is tuple) and 0 < len(data) <= _MOST_TENSORS and _KINDS.issuperset(map(type, data)):
        return [seen_through(tensor) for tensor in data]  # most batches, and most of what a module gets
    stack = [data]
    tensors: list[torch.Tensor] = []
    num_values = 0
    while stack and num_values < _MOST_VALUES and len(tensors) < _MOST_TENSORS:
        value = stack.pop()
        num_values += 1
        if issubclass(type(value), torch.Tensor):
            tensors.append(seen_through(value))
        else:
            stack.extend(asked(partial(_inside, value), ()))
    return tensors


def _inside(value: Any) -> Sequence[Any]:
    """What an object holds, the last one first."""
    kind = type(value)
    if issubclass(kind, list | tuple):
        return value[_MOST_VALUES::-1] if len(value) > _MOST_VALUES else value[::-1]  # type: ignore[no-any-return]
    if issubclass(kind, dict | Mapping):  # of the two, the first is told at once
        return list(value.values())[::-1]
    if issubclass(kind, _ATOMS) or not hasattr(value, "__dict__"):
        return ()
    return list(vars(value).values())[::-1]
