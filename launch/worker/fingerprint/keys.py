"""The pseudo-random odd numbers by which the words of a tensor are multiplied: one for each word, the same everywhere.

A tensor is taken as its elements' bytes in order, cut into words of 32 bits. Its sum is `sum(key(i) * word_i)` modulo
2^64. Each byte adds its own share to that, so shards add up wherever they are cut. A changed word always shows, because an
odd factor can be divided by; that two changes cancel each other has a probability of about 2^-32, which takes a key of 64
bits: with 32, exchanging an element and its negative would go unseen every other time.

`key(i)` is the product of a key of its block and one of its place there, so that a whole block costs one product of
vectors with a table that stays in the cache.
"""

from __future__ import annotations

from functools import cache, lru_cache

import torch
import xxhash

BLOCK_WORDS = 4096
"""Words of a block: their keys fill 32 KiB."""
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Constants of SplitMix64. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014."""
_PLACES_FROM = 1 << 62
"""The numbers of places, which must not be those of blocks."""


def text_key(text: str) -> int:
    """A number of 64 bits for a text."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


@cache
def place_keys(device: torch.device) -> torch.Tensor:
    """Keys of the places in a block: int64 of shape (BLOCK_WORDS,)."""
    return _odd_numbers(torch.arange(_PLACES_FROM, _PLACES_FROM + BLOCK_WORDS, dtype=torch.int64, device=device))


@lru_cache(maxsize=4096)
def block_keys(first: int, num_blocks: int, device: torch.device) -> torch.Tensor:
    """Keys of consecutive blocks: int64 of shape (num_blocks,)."""
    return _odd_numbers(torch.arange(first, first + num_blocks, dtype=torch.int64, device=device))


def word_keys(words: torch.Tensor) -> torch.Tensor:
    """Keys of any words.

    Args:
        words: Their numbers in the whole tensor: int64 of any shape.
    """
    places = place_keys(words.device)[words % BLOCK_WORDS]
    return places * _odd_numbers(words // BLOCK_WORDS)


def signed(value: int) -> int:
    """The integer that has the same 64 bits in two's complement, as torch needs it."""
    value %= 1 << 64
    return value - (1 << 64) if value >> 63 else value


def _odd_numbers(numbers: torch.Tensor) -> torch.Tensor:
    """SplitMix64 of each, made odd. Integers of torch wrap around."""
    mixed = (numbers + 1) * signed(_GOLDEN)
    mixed = (mixed ^ _shifted(mixed, 30)) * signed(_FIRST)
    mixed = (mixed ^ _shifted(mixed, 27)) * signed(_SECOND)
    return (mixed ^ _shifted(mixed, 31)) | 1


def _shifted(numbers: torch.Tensor, num_bits: int) -> torch.Tensor:
    """To the right, with zeros from the left: torch's own shift repeats the sign."""
    return (numbers >> num_bits) & ((1 << (64 - num_bits)) - 1)
