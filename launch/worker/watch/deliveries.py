"""Knows a delivered batch again by the memory in which it lies: slices, views and parts of it are the batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from resumable.launch.evidence.consumption import MOST_KNOWN
from resumable.launch.worker.torch_private import storage_key
from resumable.launch.worker.watch.tensors import tensors_in

Extent = tuple[int, int]
"""Bytes of a storage, half-open."""
_NO_MEMORY = (RuntimeError, NotImplementedError)
"""What a tensor raises that has none of its own: a sparse one, say."""


@dataclass
class _Memory:
    """What lies in one storage. While the reference is kept, no other storage gets the same key."""

    reference: StorageWeakRef
    lines: dict[Extent, list[tuple[int, ...]]]
    """What each part was delivered with, oldest first; two at most. Each is a batch, or several that were made one."""

    def found(self, storage: torch.UntypedStorage, tensor: torch.Tensor) -> Iterable[list[tuple[int, ...]]]:
        """The batches of each part in which any of this tensor lies."""
        if (0, storage.nbytes()) in self.lines and len(self.lines) == 1:
            return self.lines.values()
        begin, end = extent = _extent_of(tensor)
        if extent in self.lines:
            return [self.lines[extent]]
        return [lines for (first, last), lines in self.lines.items() if first < end and begin < last]


class Deliveries:
    """The batches that were delivered last, each known by the line that records it.

    A data set may hand out views of one tensor, so that batches share a storage; then the parts tell them apart. What comes
    with every batch, such as a mask that is made once, tells only if nothing else does.
    """

    def __init__(self) -> None:
        self._memories: dict[int, _Memory] = {}

    def note(self, data: Any, *lines: int) -> None:
        """This was delivered; by several lines, where it is several batches in one."""
        for tensor in tensors_in(data):
            self._note(tensor, lines)
        if len(self._memories) > MOST_KNOWN:
            self._forget()

    def lines_of(self, tensors: Iterable[torch.Tensor]) -> set[int]:
        """Lines of the batches that any of these lies in."""
        sure: set[int] = set()
        likely: set[int] = set()
        for tensor in tensors if self._memories else ():
            try:
                storage = tensor.untyped_storage()
            except _NO_MEMORY:
                continue
            memory = self._memories.get(storage_key(storage))
            for lines in () if memory is None else memory.found(storage, tensor):
                (sure if len(lines) == 1 else likely).update(lines[-1])
        return sure or likely

    def _note(self, tensor: torch.Tensor, lines: tuple[int, ...]) -> None:
        try:
            storage, extent = tensor.untyped_storage(), _extent_of(tensor)
        except _NO_MEMORY:
            return
        memory = self._memories.get(storage_key(storage))
        if memory is None:
            memory = self._memories[storage_key(storage)] = _Memory(StorageWeakRef(storage), {})  # type: ignore[no-untyped-call]
        known = memory.lines.setdefault(extent, [])
        known[:] = [*known[-1:], lines] if known[-1:] != [lines] else known

    def _forget(self) -> None:
        """What is gone, and then the half that was delivered first."""
        alive = [(key, memory) for key, memory in self._memories.items() if not memory.reference.expired()]  # type: ignore[no-untyped-call]
        self._memories = dict(alive[-MOST_KNOWN // 2 :])


def _extent_of(tensor: torch.Tensor) -> Extent:
    """Which part of its storage it lies in."""
    begin, width = int(tensor.storage_offset()), tensor.element_size()
    if tensor.is_contiguous():
        num = tensor.numel()
    else:
        num = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return begin * width, (begin + num) * width
