"""Watches gradients: whether they came with a checkpoint, and whether they are let go without a step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from weakref import ReferenceType, ref

import torch

from resumable.launch.worker.torch_private import local_tensor, version_of

_NUM_WITNESSES = 4


class _Witness(NamedTuple):
    """A parameter and the gradient that it had after a backward pass, which may be gone since."""

    parameter: ReferenceType[torch.Tensor]
    address: int
    version: int
    """Of the gradient."""
    parameter_version: int

    def has_kept(self) -> bool | None:
        """Whether the gradient is what it was; None if it was changed in place or replaced."""
        parameter = self.parameter()
        gradient = None if parameter is None else local_gradient(parameter)
        if gradient is None:
            return False
        return True if (gradient.data_ptr(), version_of(gradient)) == (self.address, self.version) else None


class GradientWatch:
    """Looks at a few parameters, spread over all.

    Args:
        parameters: Those that optimizers hold.
    """

    def __init__(self, parameters: Callable[[], Iterator[torch.Tensor]]) -> None:
        self._parameters = parameters
        self._witnesses: list[_Witness] = []
        self._is_first = True

    def are_carried(self) -> bool:
        """Whether a backward pass that begins now is the first of this process, and adds to gradients that are there."""
        is_first, self._is_first = self._is_first, False
        return is_first and self.are_there()

    def are_there(self) -> bool:
        """Whether there are any that are not all zero."""
        return _any_left(self._parameters())

    def were_let_go(self) -> bool:
        """Whether those of the last backward pass are gone: there are none any more, or all are zero."""
        try:
            are_changed = False
            for witness in self._witnesses:
                has_kept = witness.has_kept()
                if has_kept:
                    return False
                are_changed = are_changed or has_kept is None
        except (RuntimeError, NotImplementedError):  # gradients without memory
            return False
        # Zeroed, or clipped, or unscaled: only the numbers tell.
        return bool(self._witnesses) and not (are_changed and _any_left(self._parameters()))

    def remember(self) -> None:
        """A backward pass has ended."""
        with contextlib.suppress(RuntimeError, NotImplementedError):
            known = [one for one in (witness.parameter() for witness in self._witnesses) if one is not None]
            witnesses = [_witness(parameter) for parameter in known]
            if not witnesses or None in witnesses:
                having = [parameter for parameter in self._parameters() if parameter.grad is not None]
                witnesses = [_witness(parameter) for parameter in having[:: 1 + len(having) // _NUM_WITNESSES]]
            self._witnesses = [witness for witness in witnesses if witness is not None]

    def have_parameters_changed(self) -> bool:
        """Whether any was changed in place since the last backward pass."""
        pairs = ((witness.parameter(), witness.parameter_version) for witness in self._witnesses)
        return any(parameter is not None and version_of(parameter) != version for parameter, version in pairs)


def local_gradient(parameter: torch.Tensor) -> torch.Tensor | None:
    """What this process holds of a parameter's gradient; None if there is none."""
    gradient = parameter.grad
    return None if gradient is None else local_tensor(gradient)


def _any_left(parameters: Iterable[torch.Tensor]) -> bool:
    """Whether any gradient has an element that is not zero."""
    gradients = (local_gradient(parameter) for parameter in parameters)
    with torch.no_grad():
        return any(gradient is not None and _is_left(gradient) for gradient in gradients)


def _is_left(gradient: torch.Tensor) -> bool:
    with contextlib.suppress(RuntimeError, NotImplementedError):
        return bool(gradient.count_nonzero())
    return True


def _witness(parameter: torch.Tensor) -> _Witness | None:
    gradient = local_gradient(parameter)
    if gradient is None:
        return None
    return _Witness(ref(parameter), gradient.data_ptr(), version_of(gradient), version_of(parameter))
