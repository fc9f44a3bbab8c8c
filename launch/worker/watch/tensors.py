"""Finds the tensors in what a loader delivers, and in what a module gets and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from resumable.launch.worker.torch_private import seen_through

_MOST_VALUES = 256
_MOST_TENSORS = 64
_ATOMS = (str, bytes, int, float, complex, type(None), torch.nn.Module, type)


def tensors_in(data: Any) -> Sequence[torch.Tensor]:
    """Tensors in nested mappings, sequences and objects that only hold values, in their order.

    One that a transform of `torch.func` has wrapped is given bare. Of what is larger than any batch needs to be, the first
    ones: at most 64, among 256 values.
    """
    if isinstance(data, torch.Tensor):
        return (seen_through(data),)
    stack = [data]
    tensors: list[torch.Tensor] = []
    num_values = 0
    while stack and num_values < _MOST_VALUES and len(tensors) < _MOST_TENSORS:
        value = stack.pop()
        num_values += 1
        if isinstance(value, torch.Tensor):
            tensors.append(seen_through(value))
        elif isinstance(value, list | tuple):
            stack.extend(value[_MOST_VALUES::-1] if len(value) > _MOST_VALUES else value[::-1])
        elif isinstance(value, dict | Mapping):  # of the two, the first is told at once
            stack.extend(reversed(list(value.values())))
        elif not isinstance(value, _ATOMS) and hasattr(value, "__dict__"):
            stack.extend(reversed(list(vars(value).values())))
    return tensors
