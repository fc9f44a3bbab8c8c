"""The quick form of many tensors at once, taken again and again: what can be prepared of it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch

from resumable.launch.evidence.fingerprints import Fingerprint, fingerprint
from resumable.launch.worker.fingerprint.keys import signed
from resumable.launch.worker.fingerprint.pieces import Holding, OpaqueTensorError, Piece, holding_of
from resumable.launch.worker.fingerprint.samples import DeviceSamples, HostSamples, Part, Samples, sampled_parts
from resumable.launch.worker.fingerprint.states import presence_of, state_fingerprint
from resumable.launch.worker.strangers import asked
from resumable.launch.worker.torch_private import local_tensor

Named = tuple[str, torch.Tensor]
Components = Mapping[str, Sequence[Named]]
"""Tensors by the name of the component that they belong to."""
Label = tuple[str, bool]
"""A component, and whether of what is spread over processes."""
_NOTHING = Fingerprint()
_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})


class QuickForms:
    """Sums over the quick form's elements of the components of the training state.

    After most steps they are the same tensors in the same memory: then the views of their elements and the keys are
    those of the last time, and one concatenation gathers all of them.
    """

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._addresses: list[int] = []
        self._are_plain = False
        self._prepared = _Prepared({})

    def take(self, tensors: Sequence[torch.Tensor], by_component: Callable[[], Components]) -> dict[str, Fingerprint]:
        """Of each component what `state_fingerprint` gives of a mapping of its tensors, in the quick form.

        Args:
            tensors: All of them, always in the same order.
            by_component: Gives them with their names; asked only if any of them is another one than the last time, or
                lies in other memory.
        """
        ids = list(map(id, tensors))
        if ids != self._ids:
            self._are_plain = all(type(tensor) in _PLAIN and tensor.layout is torch.strided for tensor in tensors)
        addresses = list(map(torch.Tensor.data_ptr if self._are_plain else _address, tensors))
        with torch.no_grad():
            if ids != self._ids or addresses != self._addresses:
                self._prepared = _Prepared(by_component())
                self._ids, self._addresses = ids, addresses
            return self._prepared.take()

    def norm(self, component: str) -> float:
        """Euclidean norm of the floating-point elements of a component that were taken last."""
        return self._prepared.norm(component)

    def forget(self) -> None:
        """Let go of all memory."""
        self._ids, self._prepared = [], _Prepared({})


def _address(tensor: torch.Tensor) -> int:
    return asked(lambda: local_tensor(tensor).data_ptr(), 0)  # sparse ones have none, and those of lazy modules refuse


class _Prepared:
    """What is the same each time that these tensors are taken."""

    def __init__(self, components: Components) -> None:
        parts: dict[tuple[torch.dtype, torch.device], list[Part[Label]]] = {}
        self._nothing = dict.fromkeys(components, _NOTHING)
        self._rest: dict[str, dict[str, torch.Tensor]] = {}
        """Tensors that cannot be prepared: sparse ones, and those that cannot be read."""
        self._fixed: dict[Label, tuple[int, int]] = {}
        """Of each component, whole and part: the sum over its tensors' names, types and shapes, and how many elements."""
        for component, tensors in components.items():
            for name, tensor in tensors:
                holding = _lasting(tensor)
                if holding is None:
                    self._rest.setdefault(component, {})[name] = tensor
                    continue
                presence, factor = presence_of(name, holding)
                label = component, holding.is_part
                for piece in holding.pieces:
                    own = sampled_parts(label, piece, signed(factor))
                    parts.setdefault((holding.dtype, piece.local.device), []).extend(own)
                value, num_elements = self._fixed.get(label, (0, 0))
                num_present = sum(not any(piece.offsets) for piece in holding.pieces)
                self._fixed[label] = (
                    value + num_present * presence,
                    num_elements + sum(piece.local.numel() for piece in holding.pieces),
                )
        self._samples: list[Samples[Label]] = []
        self._fractions: dict[str, list[tuple[Samples[Label], Label]]] = {}
        """Of each component, what the numbers with a fraction are among."""
        for (dtype, device), gathered in parts.items():
            if gathered:
                samples: Samples[Label] = (HostSamples if device.type == "cpu" else DeviceSamples)(gathered)
                self._samples.append(samples)
                for label in dict.fromkeys(part.label for part in gathered) if dtype.is_floating_point else ():
                    self._fractions.setdefault(label[0], []).append((samples, label))

    def take(self) -> dict[str, Fingerprint]:
        sums = {label: value for label, (value, _) in self._fixed.items()}
        for samples in self._samples:
            for label, value in samples.take():
                sums[label] += value
        forms = self._nothing.copy()
        for label, (_, num_elements) in self._fixed.items():
            component, is_part = label
            form = fingerprint(sums[label], num_elements, is_part=is_part)
            forms[component] = form if forms[component] is _NOTHING else forms[component] + form
        for component, rest in self._rest.items():
            forms[component] += state_fingerprint(rest, is_whole=False)
        return forms

    def norm(self, component: str) -> float:
        return math.hypot(*[samples.norm(label) for samples, label in self._fractions.get(component, ())])


def _lasting(tensor: torch.Tensor) -> Holding | None:
    """What this process holds of a tensor, if later changes will show in it; a copy was made of anything else."""
    try:
        holding = holding_of(tensor)
    except OpaqueTensorError:
        return None
    pieces = [piece for piece in holding.pieces if piece.local.is_sparse or piece.local.numel()]
    return holding if all(_is_memory_of(piece, tensor) for piece in pieces) else None


def _is_memory_of(piece: Piece, tensor: torch.Tensor) -> bool:
    return not piece.local.is_sparse and piece.local.data_ptr() == _address(tensor)
