"""Writes the samples of a batch as the text that `resumable.launch.evidence.index_text` reads."""

from __future__ import annotations

import binascii
import sys
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import xxhash

from resumable.launch.evidence.index_text import MOST_SAMPLES, WORD_BYTES
from resumable.launch.evidence.rank_records import Index

_TINY, _FEW = 8, 64
"""A list is as good for fewer than the first, and up to the second, in no order, it is written sooner and not long."""
_BEYOND = 1 << 8 * (WORD_BYTES - 1)
_LITTLE_ENDIAN = np.dtype("<i8")


def index_text(indices: Sequence[Index]) -> str:
    """The samples of one batch in their order; "" where a list is as short, or nothing else can say it.

    Time: about what it takes to write, and to chain, a list of so many numbers.
    """
    if not _TINY <= len(indices) <= MOST_SAMPLES:
        return ""
    if len(indices) <= _FEW:
        return _text_of_few(indices)
    try:
        numbers = np.fromiter(indices, _LITTLE_ENDIAN, len(indices))
    except (TypeError, ValueError, OverflowError):
        return ""
    bits = _bits_of(numbers)
    return _text_of_many(numbers, bits) if 0 <= bits < _BEYOND else ""


def samples_digest(indices: Sequence[Index]) -> str:
    """What stands for the samples of one batch in their order where they are not kept."""
    try:
        words: array[int] = array("q", indices)  # type: ignore[arg-type] # which says so
    except (TypeError, OverflowError):
        return xxhash.xxh3_128_hexdigest(repr(list(indices)).encode())
    if sys.byteorder == "big":
        words.byteswap()
    return xxhash.xxh3_128_hexdigest(words)


def _text_of_few(indices: Sequence[Index]) -> str:
    """Of one run; "" if it is none."""
    first, second, last = indices[0], indices[1], indices[-1]
    if isinstance(first, str) or isinstance(second, str) or isinstance(last, str):
        return ""
    step = second - first
    is_run = step != 0 and first + step * (len(indices) - 1) == last and _is_in_reach(first, last)
    return _run_text(first, last, step) if is_run and list(range(first, last + step, step)) == indices else ""


def _text_of_many(numbers: Any, bits: int) -> str:
    steps = numbers[1:] - numbers[:-1]
    least = int(np.minimum.reduce(steps))
    offsets = steps - least
    bits_of_offsets = _bits_of(offsets)
    if bits_of_offsets == 0 and least != 0:
        return _run_text(int(numbers[0]), int(numbers[-1]), least)
    is_end = steps != 1
    if 4 * np.count_nonzero(is_end) < len(numbers):
        return _runs_text(numbers, np.flatnonzero(is_end))
    width, width_of_offsets = _width(bits), _width(bits_of_offsets)
    if width_of_offsets < width:
        return f"+{width_of_offsets}:{numbers[0]}:{least}:{_packed(offsets, width_of_offsets)}"
    return f"*{width}:{_packed(numbers, width)}"


def _bits_of(numbers: Any) -> int:
    """As many bits as the greatest has; less than 0 if any is."""
    return int(np.bitwise_or.reduce(numbers))


def _is_in_reach(one: int, two: int) -> bool:
    return min(one, two) >= 0 and max(one, two) < _BEYOND


def _run_text(first: int, last: int, step: int) -> str:
    return f"{first}-{last}" if abs(step) == 1 else f"{first}-{last}/{abs(step)}"


def _runs_text(numbers: Any, ends: Any) -> str:
    begins, ends = [0, *(ends + 1).tolist()], [*ends.tolist(), len(numbers) - 1]
    pairs = zip(numbers[begins].tolist(), numbers[ends].tolist(), strict=True)
    return ",".join(f"{first}-{last}" if first < last else f"{first}" for first, last in pairs)


def _width(bits: int) -> int:
    """Bytes that each of some numbers needs, given what all have together."""
    return max(1, (bits.bit_length() + 7) // 8)


def _packed(numbers: Any, width: int) -> str:
    planes = numbers.view(np.uint8).reshape(-1, WORD_BYTES).T[:width]
    return binascii.b2a_base64(planes.tobytes(), newline=False).decode()
