"""Gathers the elements of the quick form out of many tensors, and adds them up: on the host, and on a device."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch

from resumable.launch.worker.fingerprint.pieces import Piece
from resumable.launch.worker.fingerprint.sums import SAMPLE_RUN, SAMPLE_RUNS, sample_of, sample_step, word_type

L = TypeVar("L")


@dataclass(frozen=True, kw_only=True)
class Part(Generic[L]):
    """Elements that lie in memory in a regular way.

    Args:
        label: What they are counted for.
        view: They themselves: runs of shape (runs, `SAMPLE_RUN`), or any elements in one dimension.
        places: Which of the view's elements they are, where not all.
        keys: Of their words: int64 of one dimension, on the host.
        masks: Which bits of each word count: likewise; None: all.
    """

    label: L
    view: torch.Tensor
    places: torch.Tensor | None = None
    keys: torch.Tensor
    masks: torch.Tensor | None


def sampled_parts(label: L, piece: Piece, factor: int) -> Iterator[Part[L]]:
    """The elements of the quick form that lie in a block of a tensor.

    Args:
        label: What they are counted for.
        piece: The block.
        factor: What their keys are multiplied by.
    """
    local = piece.local
    places, keys, masks = sample_of(piece)
    if not keys.numel():
        return
    keys = keys * factor

    def part(first: int, end: int, view: torch.Tensor, places: torch.Tensor | None = None) -> Part[L]:
        own_masks = None if masks is None else masks[first:end].reshape(-1)
        return Part(label=label, view=view, places=places, keys=keys[first:end].reshape(-1), masks=own_masks)

    num = len(keys)
    if tuple(local.shape) != piece.shape or not local.is_contiguous():
        yield part(0, num, *_in_memory(local, places))
        return
    flat, step = local.view(-1), sample_step(local.numel())
    if step is None:
        yield part(0, num, flat)
        return
    yield part(0, num - SAMPLE_RUN, flat.as_strided((SAMPLE_RUNS - 1, SAMPLE_RUN), (step, 1), flat.storage_offset()))
    yield part(num - SAMPLE_RUN, num, flat[None, -SAMPLE_RUN:])


def _in_memory(local: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All memory that a block lies in, in one dimension, and where in it these of its elements lie."""
    coordinates = torch.unravel_index(places, local.shape)
    strides = zip(coordinates, local.stride(), strict=True)
    in_memory = sum((coordinate * stride for coordinate, stride in strides), torch.zeros_like(places))
    extent = 1 + sum((size - 1) * stride for size, stride in zip(local.shape, local.stride(), strict=True))
    return local.as_strided((extent,), (1,), local.storage_offset()), in_memory


class Samples(Protocol[L]):
    """Elements of one type on one device."""

    def take(self) -> Sequence[tuple[L, int]]:
        """Sums over the elements as they are now; those of one label are to be added, modulo 2^64."""

    def norm(self, label: L) -> float:
        """Euclidean norm of what was taken last of one of the labels, which must be numbers with a fraction."""


class _Arranged(Generic[L]):
    """Parts in the order in which they are gathered: runs, then what lies in a row, then what lies anywhere.

    Args:
        parts: Of one type, on one device; at least one.
    """

    def __init__(self, parts: Sequence[Part[L]]) -> None:
        self.parts = sorted(parts, key=_kind)
        self.elements = torch.empty(
            sum(_num_elements(part) for part in parts), dtype=parts[0].view.dtype, device=parts[0].view.device
        )
        """What was taken last."""
        self.runs, self.flat, self.scattered = ([p for p in self.parts if _kind(p) == kind] for kind in range(3))
        self.num_in_runs = sum(map(_num_elements, self.runs))
        self.keys = torch.cat([part.keys for part in self.parts])
        masks = [part.masks for part in self.parts if part.masks is not None]
        self.masks = torch.cat(masks) if masks else None
        together = [(label, list(own)) for label, own in groupby(self.parts, lambda part: part.label)]
        self.labels = [label for label, _ in together]
        self.num_words = [sum(len(part.keys) for part in own) for _, own in together]
        sizes = [sum(map(_num_elements, own)) for _, own in together]
        self._places: dict[L, list[tuple[int, int]]] = {label: [] for label in self.labels}
        for label, size, end in zip(self.labels, sizes, accumulate(sizes), strict=True):
            self._places[label].append((end - size, end))

    def places_of(self, label: L) -> Sequence[tuple[int, int]]:
        """Where the elements of a label lie, half-open."""
        return self._places.get(label, ())

    def norm(self, label: L) -> float:
        """As `Samples` says."""
        stretches = [self.elements[begin:end] for begin, end in self.places_of(label)]
        with torch.no_grad():
            return math.hypot(*(float(torch.linalg.vector_norm(stretch.float())) for stretch in stretches))


def _kind(part: Part[Any]) -> int:
    return 2 if part.places is not None else 2 - part.view.dim()


def _num_elements(part: Part[Any]) -> int:
    return part.view.numel() if part.places is None else len(part.places)


class _Memory:
    """Runs of elements that lie anywhere in the memory of this process, as one array of NumPy's: one call gathers all.

    Args:
        runs: Views of shape (runs, `SAMPLE_RUN`), of one type; at least one. Who gathers sees to it that they lie there yet.
    """

    def __init__(self, runs: Sequence[torch.Tensor]) -> None:
        width = runs[0].element_size()
        addresses = [run.data_ptr() + width * run.stride(0) * number for run in runs for number in range(len(run))]
        first, extent, num_bytes = min(addresses), max(addresses) - min(addresses), SAMPLE_RUN * width
        memory = (ctypes.c_byte * (extent + num_bytes)).from_address(first)
        self._anywhere = np.ndarray((extent + 1,), f"V{num_bytes}", buffer=memoryview(memory), strides=(1,))
        """Whatever begins at each byte."""
        self._places = np.array(addresses) - first

    def gather(self, target: Any) -> None:
        """Copy the runs, one after the other, into an array of as many bytes."""
        target[:] = self._anywhere[self._places]


class HostSamples(_Arranged[L]):
    """In the memory of the host, where NumPy gathers small pieces many times as fast as torch."""

    def __init__(self, parts: Sequence[Part[L]]) -> None:
        super().__init__(parts)
        self._words = self.elements.view(word_type(self.elements.dtype)).numpy()  # of our own, to be written to
        self._runs = _Memory([part.view for part in self.runs]) if self.runs else None
        self._flat = [_words(part.view) for part in self.flat]
        width = self._words.size // max(1, self.elements.numel())
        self._scattered = [
            (_words(part.view), (part.places[:, None] * width + torch.arange(width)).reshape(-1).numpy())
            for part in self.scattered
            if part.places is not None
        ]
        in_runs, rest = np.split(self._words, [self.num_in_runs * width])
        self._in_runs, self._rest = in_runs.view(f"V{in_runs.itemsize * SAMPLE_RUN * width}"), rest
        self._keys = self.keys.numpy()
        self._masks = None if self.masks is None else self.masks.numpy()
        self._starts = np.cumsum([0, *self.num_words[:-1]])
        self._products = np.empty_like(self._keys)
        numbers = _numbers(self.elements)
        self._stretches = (
            None
            if numbers is None
            else {label: [numbers[begin:end] for begin, end in self.places_of(label)] for label in self.labels}
        )

    def take(self) -> list[tuple[L, int]]:
        """As `Samples` says."""
        if self._runs is not None:
            self._runs.gather(self._in_runs)
        if self._rest.size:
            scattered = (memory.take(places) for memory, places in self._scattered)
            np.concatenate([*self._flat, *scattered], out=self._rest)
        words = self._words if self._masks is None else self._words & self._masks
        sums = np.add.reduceat(np.multiply(words, self._keys, out=self._products), self._starts)
        return list(zip(self.labels, sums.tolist(), strict=True))

    def norm(self, label: L) -> float:
        """As `Samples` says, without what a call of torch costs, and without threads of a library for algebra."""
        if self._stretches is None:
            return super().norm(label)
        return math.hypot(*[math.sqrt(np.add.reduce(own * own)) for own in self._stretches.get(label, ())])


def _numbers(elements: torch.Tensor) -> Any:
    """The elements in place, where their type is one of NumPy's with a fraction; else None."""
    return elements.numpy() if elements.dtype in (torch.float32, torch.float64) else None


def _words(view: torch.Tensor) -> Any:
    """The words of a tensor in place, to be read, which may still be resized: `Tensor.numpy()` would forbid that."""
    return np.from_dlpack(view.view(word_type(view.dtype)))


class DeviceSamples(_Arranged[L]):
    """On an accelerator, by a few kernels and one transfer."""

    def __init__(self, parts: Sequence[Part[L]]) -> None:
        super().__init__(parts)
        device = self.elements.device
        self._words = self.elements.view(word_type(self.elements.dtype))
        self._views = [part.view for part in self.runs], [part.view for part in self.flat]
        self._scattered = [(part.view, part.places.to(device)) for part in self.scattered if part.places is not None]
        in_runs, self._rest = self.elements[: self.num_in_runs], self.elements[self.num_in_runs :]
        self._in_runs = in_runs.view(-1, SAMPLE_RUN)
        self._keys = self.keys.to(device)
        self._masks = None if self.masks is None else self.masks.to(device)
        numbers = torch.arange(len(self.labels))
        self._numbers = numbers.repeat_interleave(torch.tensor(self.num_words)).to(device)
        """Which sum each word belongs to."""

    def take(self) -> list[tuple[L, int]]:
        """As `Samples` says."""
        runs, flat = self._views
        if runs:
            torch.cat(runs, out=self._in_runs)
        if self._rest.numel():
            torch.cat([*flat, *(memory.index_select(0, places) for memory, places in self._scattered)], out=self._rest)
        words = self._words.to(torch.int64)
        products = (words if self._masks is None else words & self._masks) * self._keys
        sums = torch.zeros(len(self.labels), dtype=torch.int64, device=products.device)
        return list(zip(self.labels, sums.index_add_(0, self._numbers, products).tolist(), strict=True))
