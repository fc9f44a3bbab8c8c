"""Finds what is trained where no optimizer is one of torch's: by one of another library, or by the script's own hands.

An optimizer of another library is known by what it can do and by the groups of parameters that it holds. What none holds
is trained by the script itself, as far as anybody knows; which of it gets gradients in one step says nothing of the next
one. The garbage collector knows all of them.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import torch

_MOST_LOOKS = 4
"""So often is there nothing to find, until it is believed: a look takes some 50 ms among half a million objects."""
_METHODS = ("step", "zero_grad")


class OtherOptimizers:
    """Optimizers that are none of torch's, and the parameters that are trained without any."""

    def __init__(self) -> None:
        self._optimizers: list[weakref.ref[Any]] = []
        self._parameters: list[weakref.ref[torch.nn.Parameter]] = []
        self._num_looks = 0

    @property
    def are_there(self) -> bool:
        """Whether anything was found that still exists."""
        return next(self.groups(), None) is not None

    def look(self) -> None:
        """Look for them, unless they are known."""
        if self._num_looks >= _MOST_LOOKS or self.are_there:
            return
        self._num_looks += 1
        things = gc.get_objects()
        self._optimizers = [weakref.ref(one) for one in _of_kinds(things, _is_optimizer) if _groups_of(one)]
        held = {id(one) for groups, _ in self.groups() for group in groups for one in group["params"]}
        self._parameters = [
            weakref.ref(one) for one in _of_kinds(things, _is_parameter) if one.requires_grad and id(one) not in held
        ]
        if self.are_there:
            self._num_looks = 0

    def alive(self) -> list[Any]:
        """What there is of them: as long as somebody holds this list, it does not go with a function that returns."""
        return [one for reference in (*self._optimizers, *self._parameters) if (one := reference()) is not None]

    def groups(self) -> Iterator[tuple[list[dict[str, Any]], dict[Any, Any]]]:
        """Of each its groups of parameters, and what it keeps about them."""
        for reference in self._optimizers:
            optimizer = reference()
            if optimizer is not None:
                state = getattr(optimizer, "state", None)
                yield _groups_of(optimizer), state if isinstance(state, dict) else {}
        parameters = [parameter for one in self._parameters if (parameter := one()) is not None]
        if parameters:
            yield [{"params": parameters}], {}


def _of_kinds(things: list[Any], is_kind: Any) -> Iterator[Any]:
    kinds: dict[type, bool] = {}
    for thing in things:
        kind = type(thing)
        if kind not in kinds:
            kinds[kind] = is_kind(kind)
        if kinds[kind]:
            yield thing


def _is_optimizer(kind: type) -> bool:
    has_methods = all(any(name in vars(base) for base in kind.__mro__) for name in _METHODS)
    return has_methods and torch.nn.Module not in kind.__mro__ and kind.__weakrefoffset__ != 0


def _is_parameter(kind: type) -> bool:
    return torch.nn.Parameter in kind.__mro__


def _groups_of(optimizer: Any) -> list[dict[str, Any]]:
    """Its groups as those of one of torch's; [] if it has none."""
    try:
        groups = [dict(group) for group in optimizer.param_groups if isinstance(group, Mapping)]
        return [group for group in groups if all(isinstance(one, torch.Tensor) for one in group["params"])]
    except Exception:  # somebody else's code
        return []
