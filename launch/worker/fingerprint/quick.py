"""The quick form of many tensors at once, taken again and again: what can be prepared of it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from resumable.launch.evidence.fingerprints import Fingerprint, fingerprint
from resumable.launch.worker.fingerprint.keys import signed
from resumable.launch.worker.fingerprint.pieces import OpaqueTensorError, Piece, holding_of
from resumable.launch.worker.fingerprint.states import presence_of, state_fingerprint
from resumable.launch.worker.fingerprint.sums import (
    SAMPLE_RUN,
    SAMPLE_RUNS,
    element_keys,
    sample_step,
    sampled_elements,
    sampled_within,
    word_type,
)
from resumable.launch.worker.torch_private import local_tensor

Named = tuple[str, torch.Tensor]


class QuickForm:
    """Sums over the quick form's elements of the tensors of one component of the training state.

    After most steps they are the same tensors in the same memory: then the views of their elements and the keys are
    those of the last time, and one concatenation gathers them.
    """

    def __init__(self) -> None:
        self._places: list[tuple[str, int, int]] = []
        self._prepared = _Prepared(())

    def take(self, tensors: Sequence[Named]) -> Fingerprint:
        """Of all of these together: what `state_fingerprint` gives of a mapping of them, in the quick form."""
        places = [(name, id(tensor), _address(tensor)) for name, tensor in tensors]
        with torch.no_grad():
            if places != self._places:
                self._prepared = _Prepared(tensors)
                self._places = places
            return self._prepared.take()

    def norm(self) -> float:
        """Euclidean norm of the floating-point elements that were taken last."""
        with torch.no_grad():
            return math.sqrt(sum(float(torch.linalg.vector_norm(part.float())) ** 2 for part in self._prepared.taken()))

    def forget(self) -> None:
        """Let go of all memory."""
        self._places, self._prepared = [], _Prepared(())


def _address(tensor: torch.Tensor) -> int:
    try:
        return local_tensor(tensor).data_ptr()
    except RuntimeError:  # of a sparse tensor, for example, which is not prepared
        return 0


@dataclass(kw_only=True)
class _Group:
    """Elements of one type, on one device, of what is held in one way."""

    dtype: torch.dtype
    is_part: bool
    runs: list[torch.Tensor] = field(default_factory=list)
    """Views of shape (runs, elements of a run)."""
    flat: list[torch.Tensor] = field(default_factory=list)
    """Views of one dimension."""
    gathered: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
    """Flat views, and the places in them of the elements that count."""
    keys: dict[str, list[torch.Tensor]] = field(default_factory=lambda: {"runs": [], "flat": [], "gathered": []})
    masks: dict[str, list[torch.Tensor]] = field(default_factory=lambda: {"runs": [], "flat": [], "gathered": []})
    elements: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    """Those that were taken last."""

    def key(self, kind: str, keys: torch.Tensor, masks: torch.Tensor | None, factor: int) -> None:
        self.keys[kind].append((keys * factor).reshape(-1))
        if masks is not None:
            self.masks[kind].append(masks.reshape(-1))

    def finish(self) -> None:
        device = [*self.runs, *self.flat, *(base for base, _ in self.gathered)][0].device
        kinds = ("runs", "flat", "gathered")
        self.all_keys = torch.cat([keys for kind in kinds for keys in self.keys[kind]]).to(device)
        masks = [mask for kind in kinds for mask in self.masks[kind]]
        self.all_masks = torch.cat(masks).to(device) if masks else None

    def take(self) -> int:
        """The sum over its elements as they are now."""
        flat = [*self.flat, *(base.index_select(0, places) for base, places in self.gathered)]
        parts = ([torch.cat(self.runs).view(-1)] if self.runs else []) + flat
        self.elements = parts[0] if len(parts) == 1 else torch.cat(parts)
        words = self.elements.view(word_type(self.dtype))
        if self.all_masks is None:
            return int((words * self.all_keys).sum())
        return int(((words.to(torch.int64) & self.all_masks) * self.all_keys).sum())


class _Prepared:
    """What is the same each time that these tensors are taken."""

    def __init__(self, tensors: Sequence[Named]) -> None:
        self._groups: dict[tuple[torch.dtype, torch.device, bool], _Group] = {}
        self._rest: dict[str, torch.Tensor] = {}
        """Tensors that cannot be prepared: sparse ones, and those that cannot be read."""
        self._fixed = Fingerprint()
        """Of the tensors' names, types, shapes and numbers of elements."""
        for name, tensor in tensors:
            self._add(name, tensor)
        for group in self._groups.values():
            group.finish()

    def take(self) -> Fingerprint:
        total = self._fixed
        for group in self._groups.values():
            total += fingerprint(group.take(), 0, is_part=group.is_part)
        return total + state_fingerprint(self._rest, is_whole=False) if self._rest else total

    def taken(self) -> Iterator[torch.Tensor]:
        """The floating-point elements that were taken last."""
        return (group.elements for group in self._groups.values() if group.dtype.is_floating_point)

    def _add(self, name: str, tensor: torch.Tensor) -> None:
        try:
            holding = holding_of(tensor)
        except OpaqueTensorError:
            self._rest[name] = tensor
            return
        if any(piece.local.is_sparse for piece in holding.pieces):
            self._rest[name] = tensor
            return
        presence, factor = presence_of(name, holding)
        for piece in holding.pieces:
            if piece.local.numel():
                key = (holding.dtype, piece.local.device, holding.is_part)
                group = self._groups.setdefault(key, _Group(dtype=holding.dtype, is_part=holding.is_part))
                _add_piece(group, piece, factor)
        num_present = sum(not any(piece.offsets) for piece in holding.pieces)
        num_elements = sum(piece.local.numel() for piece in holding.pieces)
        self._fixed += fingerprint(num_present * presence, num_elements, is_part=holding.is_part)


def _add_piece(group: _Group, piece: Piece, factor: int) -> None:
    local, factor = piece.local, signed(factor)
    is_whole = tuple(local.shape) == piece.shape
    if is_whole and local.is_contiguous():
        flat, step = local.view(-1), sample_step(local.numel())
        keys, masks = element_keys(sampled_elements(local.numel()), local.dtype)
        if step is None:
            group.flat.append(flat)
            group.key("flat", keys, masks, factor)
            return
        size = (SAMPLE_RUNS - 1, SAMPLE_RUN)
        num_in_runs = math.prod(size)
        group.runs.append(flat.as_strided(size, (step, 1), flat.storage_offset()))
        group.key("runs", keys[:num_in_runs], None if masks is None else masks[:num_in_runs], factor)
        group.flat.append(flat[-SAMPLE_RUN:])
        group.key("flat", keys[num_in_runs:], None if masks is None else masks[num_in_runs:], factor)
        return
    numbers, places = sampled_within(tuple(local.shape), piece.shape, piece.offsets)
    if numbers.numel():
        coordinates = torch.unravel_index(places, local.shape)
        strides = zip(coordinates, local.stride(), strict=True)
        in_memory = sum((coordinate * stride for coordinate, stride in strides), torch.zeros_like(places))
        extent = 1 + sum((size - 1) * stride for size, stride in zip(local.shape, local.stride(), strict=True))
        group.gathered.append((local.as_strided((extent,), (1,), local.storage_offset()), in_memory.to(local.device)))
        group.key("gathered", *element_keys(numbers, local.dtype), factor)
