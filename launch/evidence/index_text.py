"""The samples of a batch as one short text, where a list of numbers would be long; a rank writes it, this reads it.

0-4095                 a run
1-8191/2               a run by twos; from the greater to the lesser number it runs down
0-15,640-655,7         runs, one after another, and single samples
*3:<base64>            any samples, 3 bytes each: the lowest bytes of all, then the next ones
+1:640:-7:<base64>     640, and then each the one before, less 7, and what follows: one byte each, likewise
"""

from __future__ import annotations

import binascii
import re
import sys
from array import array
from itertools import accumulate

MOST_SAMPLES = 1 << 20
"""That a text stands for: a stranger's may say that it stands for more than fit into memory."""
WORD_BYTES = 8
"""Of a number in an array."""
_RUN = re.compile(r"(\d{1,18})(?:-(\d{1,18})(?:/([1-9]\d{0,17}))?)?", re.ASCII)
_PACKED = re.compile(r"\*([1-7]):([A-Za-z0-9+/=]*)", re.ASCII)
_STEPS = re.compile(r"\+([1-7]):(\d{1,18}):(-?\d{1,18}):([A-Za-z0-9+/=]*)", re.ASCII)


def indices_of(text: str) -> list[int]:
    """The samples that a text stands for, in their order.

    Raises:
        ValueError: it is no such text, or stands for more than `MOST_SAMPLES`.
    """
    if packed := _PACKED.fullmatch(text):
        return _unpacked(packed[2], int(packed[1]))
    if steps := _STEPS.fullmatch(text):
        least = int(steps[3])
        return list(accumulate((step + least for step in _unpacked(steps[4], int(steps[1]))), initial=int(steps[2])))
    indices: list[int] = []
    for part in text.split(","):
        run = _RUN.fullmatch(part)
        if run is None:
            raise ValueError(f"expected the samples of a batch, found {part[:40]!r}")
        samples = _samples_of(run)
        if len(indices) + len(samples) > MOST_SAMPLES:
            raise ValueError(f"stands for more than {MOST_SAMPLES} samples")
        indices.extend(samples)
    return indices


def _samples_of(run: re.Match[str]) -> range:
    first, last, step = int(run[1]), int(run[2] or run[1]), int(run[3] or 1)
    return range(first, last + 1, step) if first <= last else range(first, last - 1, -step)


def _unpacked(text: str, width: int) -> list[int]:
    planes = binascii.a2b_base64(text)
    num, rest = divmod(len(planes), width)
    if rest or num > MOST_SAMPLES:
        raise ValueError(f"expected samples of {width} bytes each, found {len(planes)} bytes")
    words = bytearray(num * WORD_BYTES)
    for place in range(width):
        words[place::WORD_BYTES] = planes[place * num : (place + 1) * num]
    numbers = array("Q", bytes(words))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
