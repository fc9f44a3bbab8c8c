"""Sums over the words of what a process holds of a tensor, in blocks and on the tensor's own device."""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from resumable.launch.worker.fingerprint.keys import BLOCK_WORDS, block_keys, place_keys, word_keys
from resumable.launch.worker.fingerprint.pieces import Piece

WORD_BYTES = 4
_CPU_BLOCKS, _DEVICE_BLOCKS = 16, 512
"""Blocks at a time: products that stay in a core's cache; on an accelerator enough to keep it busy, in 16 MiB."""
_CHUNK_ELEMENTS = 1 << 18
_MANY_ROWS = 64
"""Rows of a block of a tensor that are worth being taken all at once."""
SAMPLE_RUNS, SAMPLE_RUN = 16, 16
"""The quick form takes so many runs of so many elements of a large tensor. A run is about one line of a cache, and it is the
number of lines that costs time: after a step of training none of them is in the cache."""
_SMALL = SAMPLE_RUNS * SAMPLE_RUN
"""Elements of a tensor that the quick form takes all, since they lie side by side."""
_WIDE_STEP = 512


def whole_sum(piece: Piece) -> torch.Tensor:
    """Sum over every element: a scalar int64 on the piece's device."""
    if piece.local.is_sparse:
        return _listed_sum(piece)
    if not piece.local.numel():
        return _zero(piece.local.device)
    if piece.is_run:
        return _run_sum(piece.local.reshape(-1), piece.start)
    return _rows_sum(piece)


def quick_sum(piece: Piece) -> torch.Tensor:
    """Sum over a fixed set of elements that are spread over the whole tensor."""
    local = piece.local
    if local.is_sparse:
        return _listed_sum(piece)
    places, keys, masks = sample_of(piece)
    if not keys.numel():
        return _zero(local.device)
    places, keys = places.to(local.device), keys.to(local.device)
    masks = None if masks is None else masks.to(local.device)
    if local.dtype.itemsize == 1:  # not every release of torch can index floats of eight bits
        local = local.view(torch.int8)
    if local.is_contiguous():
        elements = local.view(-1)[places] if places.numel() < local.numel() else local.view(-1)
    else:
        elements = local[torch.unravel_index(places, local.shape)]
    return _keyed_sum(elements, keys, masks)


def sampled_elements(num_elements: int) -> torch.Tensor:
    """Numbers of the elements of the quick form, in a tensor of so many: int64, ascending."""
    step = sample_step(num_elements)
    if step is None:
        return torch.arange(num_elements)
    starts = torch.arange(SAMPLE_RUNS) * step
    starts[-1] = num_elements - SAMPLE_RUN
    return (starts[:, None] + torch.arange(SAMPLE_RUN)).reshape(-1)


def sample_step(num_elements: int) -> int | None:
    """How far apart the runs of the quick form begin, all but the last, which ends the tensor; None if it takes all.

    A wide step is odd, so that the runs do not all lie in the same columns of a matrix whose width is a power of two.
    """
    if num_elements <= _SMALL:
        return None
    step = (num_elements - SAMPLE_RUN) // (SAMPLE_RUNS - 1)
    return step - 1 if step > _WIDE_STEP and step % 2 == 0 else step


def _zero(device: torch.device) -> torch.Tensor:
    return torch.zeros((), dtype=torch.int64, device=device)


def _run_sum(flat: torch.Tensor, start: int) -> torch.Tensor:
    """Of elements that follow each other, `start` being the first one's number."""
    data = flat.contiguous().view(torch.uint8)
    first_byte = start * flat.element_size()
    total = _zero(flat.device)
    head = min(-first_byte % WORD_BYTES, data.numel())
    if head:
        total += _padded_sum(data[:head], first_byte)
    tail = (data.numel() - head) % WORD_BYTES
    words = data[head : data.numel() - tail]
    if words.numel():
        is_aligned = words.storage_offset() % WORD_BYTES == 0
        total += _words_sum(
            (words if is_aligned else words.clone()).view(torch.int32), (first_byte + head) // WORD_BYTES
        )
    if tail:
        total += _padded_sum(data[-tail:], first_byte + data.numel() - tail)
    return total


def _padded_sum(data: torch.Tensor, first_byte: int) -> torch.Tensor:
    """Of bytes that fill a part of one word."""
    word = torch.zeros(WORD_BYTES, dtype=torch.uint8, device=data.device)
    place = first_byte % WORD_BYTES
    word[place : place + data.numel()] = data
    return _words_sum(word.view(torch.int32), first_byte // WORD_BYTES)


def _words_sum(words: torch.Tensor, first: int) -> torch.Tensor:
    """Of whole words, `first` being the first one's number: those before the first whole block, the blocks, the rest."""
    total = _zero(words.device)
    head = min(-first % BLOCK_WORDS, words.numel())
    num_blocks = (words.numel() - head) // BLOCK_WORDS
    end = head + num_blocks * BLOCK_WORDS
    for begin, stop in ((0, head), (end, words.numel())):
        if begin < stop:
            total += _part_of_block_sum(words[begin:stop], first + begin)
    blocks = words[head:end].view(num_blocks, BLOCK_WORDS)
    step = _CPU_BLOCKS if words.device.type == "cpu" else _DEVICE_BLOCKS
    places = place_keys(words.device)
    products = torch.empty((min(step, num_blocks), BLOCK_WORDS), dtype=torch.int64, device=words.device)
    sums = torch.empty(num_blocks, dtype=torch.int64, device=words.device)
    for begin in range(0, num_blocks, step):
        chunk = blocks[begin : begin + step]
        product = torch.mul(chunk, places, out=products[: chunk.shape[0]])
        torch.sum(product, dim=1, out=sums[begin : begin + step])
    return total + (sums * block_keys((first + head) // BLOCK_WORDS, num_blocks, words.device)).sum()


def _part_of_block_sum(words: torch.Tensor, first: int) -> torch.Tensor:
    place = first % BLOCK_WORDS
    keys = place_keys(words.device)[place : place + words.numel()]
    return (words * keys).sum() * block_keys(first // BLOCK_WORDS, 1, words.device)[0]


def _rows_sum(piece: Piece) -> torch.Tensor:
    """Of a block that lies in rows: each is a run, far from the next."""
    sizes = tuple(piece.local.shape)
    last = max(number for number, size in enumerate(sizes) if size != piece.shape[number])
    rows = piece.local.reshape(math.prod(sizes[:last]), -1)
    starts = piece.start + _row_starts(sizes[:last], piece.strides[:last])
    if len(rows) < _MANY_ROWS:
        sums = [_run_sum(row, start) for row, start in zip(rows, starts.tolist(), strict=True)]
        return torch.stack(sums).sum()
    return _gathered_sum(rows, starts.to(rows.device))


def _row_starts(sizes: tuple[int, ...], strides: tuple[int, ...]) -> torch.Tensor:
    starts = torch.zeros((1,), dtype=torch.int64)
    for size, stride in zip(sizes, strides, strict=True):
        starts = (starts[:, None] + torch.arange(size) * stride).reshape(-1)
    return starts


def _listed_sum(piece: Piece) -> torch.Tensor:
    """Of a sparse tensor: of the elements that it lists, as if the rest were zeros of its dense twin."""
    indices, values = piece.local.indices(), piece.local.values()
    strides = torch.tensor(piece.strides[: indices.shape[0]], dtype=torch.int64, device=indices.device)
    starts = piece.start + (indices * strides[:, None]).sum(0)
    return _gathered_sum(values.reshape(starts.numel(), -1), starts)


def _gathered_sum(rows: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    """Of rows of elements that begin anywhere."""
    total = _zero(rows.device)
    if not rows.numel():
        return total
    length = rows.shape[1]
    num_rows = max(1, _CHUNK_ELEMENTS // length)
    for some, begins in zip(torch.split(rows, num_rows), torch.split(starts, num_rows), strict=True):
        numbers = begins[:, None] + torch.arange(length, device=rows.device)
        total += _keyed_sum(some.reshape(-1), *element_keys(numbers.reshape(-1), rows.dtype))
    return total


def word_type(dtype: torch.dtype) -> torch.dtype:
    """The integers as which the elements of a type are taken: their own bits, or words of 32 if they have more."""
    return {1: torch.int8, 2: torch.int16}.get(dtype.itemsize, torch.int32)


def element_keys(numbers: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Keys of elements, and which bits of each, sign-extended, count.

    Returns:
        int64 of shape (elements, words of each), and int64 of shape (elements, 1), or None: all count.
    """
    if dtype.itemsize >= WORD_BYTES:
        per_element = dtype.itemsize // WORD_BYTES
        words = numbers[:, None] * per_element + torch.arange(per_element, device=numbers.device)
        return word_keys(words), None
    per_word = WORD_BYTES // dtype.itemsize
    num_bits = 8 * dtype.itemsize
    places = numbers % per_word
    keys = word_keys(numbers // per_word) << (places * num_bits)
    # The sign of a word is that of its last element.
    masks = torch.where(places == per_word - 1, -1, (1 << num_bits) - 1)
    return keys[:, None], masks[:, None]


def _keyed_sum(elements: torch.Tensor, keys: torch.Tensor, masks: torch.Tensor | None) -> torch.Tensor:
    words = elements.contiguous().view(-1).view(word_type(elements.dtype)).view(keys.shape).to(torch.int64)
    return ((words if masks is None else words & masks) * keys).sum()


def sample_of(piece: Piece) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """The elements of the quick form that lie in a block: their numbers in it, their keys, which bits count.

    Returns:
        On the host: int64 of shape (elements,), and what `element_keys` gives.
    """
    return _sample(tuple(piece.local.shape), piece.shape, piece.offsets, piece.local.dtype)


@lru_cache(maxsize=4096)
def _sample(
    sizes: tuple[int, ...], shape: tuple[int, ...], offsets: tuple[int, ...], dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    numbers, places = sampled_within(sizes, shape, offsets)
    return places, *element_keys(numbers, dtype)


def sampled_within(
    sizes: tuple[int, ...], shape: tuple[int, ...], offsets: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The elements of the quick form that lie in a block of a tensor: their numbers in the whole, and in the block.

    Args:
        sizes: Of the block.
        shape: Of the whole.
        offsets: Where the block begins in it.
    """
    numbers = sampled_elements(math.prod(shape))
    if sizes == shape or not shape:
        return numbers, numbers
    inside = torch.ones_like(numbers, dtype=torch.bool)
    places = torch.zeros_like(numbers)
    for coordinate, size, offset in zip(torch.unravel_index(numbers, shape), sizes, offsets, strict=True):
        inside &= (coordinate >= offset) & (coordinate < offset + size)
        places = places * size + coordinate - offset
    return numbers[inside], places[inside]
