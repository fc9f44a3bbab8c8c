"""Numbers that are a pure function of a key and a count: what every random choice of an order is made of."""

import hashlib
import struct

import numpy as np
from numpy.typing import NDArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def key(kind: str, *values: int | str) -> int:
    """Return a key of 64 bits that shares nothing with the keys of neighbouring values.

    Args:
        kind: What the key is for, with its version; at most 16 bytes.
        *values: Integers of 64 bits with a sign, and texts.
    """
    parts = (struct.pack("<q", value) if isinstance(value, int) else _text(value) for value in values)
    digest = hashlib.blake2b(b"".join(parts), digest_size=8, person=kind.encode()).digest()
    return int.from_bytes(digest, "little")


def seed_of(kind: str, *values: int | str) -> int:
    """Return a key as a seed for an order, `0 <= seed < 2**62`."""
    return key(kind, *values) >> 2


def hashes(start: int, counts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the numbers that a SplitMix64 generator with the key `start` gives at `counts`, of the same shape.

    Source: G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators" (2014).
    """
    mixed = np.uint64(start) + counts * _GAMMA
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def shuffled(length: int, start: int) -> NDArray[np.int64]:
    """Return `0 .. length - 1` in an order that depends on the key alone."""
    return np.argsort(hashes(start, np.arange(1, length + 1, dtype=np.uint64)), kind="stable")


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<q", len(encoded)) + encoded
