"""Watches gradients: whether they came with a checkpoint, and whether they are let go without a step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from weakref import ReferenceType, ref

import torch

from resumable.launch.worker.torch_private import local_tensor, version_of

_NUM_COMPARED = 4


class GradientWatch:
    """Looks at one parameter for all, as long as that says anything.

    Args:
        parameters: Those that optimizers hold.
    """

    def __init__(self, parameters: Callable[[], Iterator[torch.Tensor]]) -> None:
        self._parameters = parameters
        self._witness: ReferenceType[torch.Tensor] | None = None
        """A parameter that had a gradient after the last backward pass; it may be gone since."""
        self._id = self._version = 0
        """Which tensor its gradient was then, and how often that had been changed."""
        self._compared: list[tuple[ReferenceType[torch.Tensor], int]] | None = None
        """A few parameters, spread over all, and their versions after the last backward pass; None: nobody will ask."""
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
        if self._witness is None:
            return False
        parameter = self._witness()
        gradient = None if parameter is None else local_gradient(parameter)
        has_kept = gradient is not None and id(gradient) == self._id and version_of(gradient) == self._version
        # Zeroed, or clipped, or unscaled: only the numbers tell.
        return not has_kept and not _any_left(self._parameters())

    def remember(self) -> None:
        """A backward pass has ended."""
        parameter = None if self._witness is None else self._witness()
        if parameter is None or parameter.grad is None:
            parameter = next((one for one in self._parameters() if one.grad is not None), None)
            self._witness = None if parameter is None else ref(parameter)
        if parameter is not None and (gradient := local_gradient(parameter)) is not None:
            self._id, self._version = id(gradient), version_of(gradient)
        if self._compared is not None:
            self.compare_parameters()

    def compare_parameters(self) -> None:
        """From now on `have_parameters_changed` is asked."""
        having = [parameter for parameter in self._parameters() if parameter.grad is not None]
        spread = having[:: 1 + len(having) // _NUM_COMPARED]
        self._compared = [(ref(parameter), version_of(parameter)) for parameter in spread]

    def have_parameters_changed(self) -> bool:
        """Whether any was changed in place since the last backward pass, or since `compare_parameters`."""
        pairs = ((reference(), version) for reference, version in self._compared or ())
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
