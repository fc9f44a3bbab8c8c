"""Fingerprints as evidence: how those of a state's parts become that of the whole."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add

import msgspec

_MODULUS = 1 << 64


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one process holds of a state: what it holds whole, and beside it its shards of what is spread over processes.

    Fingerprints of different parts of a state add up, in any order; equal states have equal fingerprints, and different
    states have equal ones with a probability of about 2^-32. The value of a tensor is the sum, modulo 2^64, over its
    elements of a function of (name, dtype, shape, global index, bits).
    """

    whole: str = ""
    """Of what this process holds whole, as 16 hexadecimal digits; "" if there is nothing."""
    num_whole: int = 0
    """Its elements."""
    part: str = ""
    """Of the shards that this process holds, without those that are the copy of another process's; "" if there are none."""
    num_part: int = 0
    """Their elements."""

    @property
    def num_elements(self) -> int:
        """Of all that this process holds."""
        return self.num_whole + self.num_part

    def __add__(self, other: Fingerprint) -> Fingerprint:
        return Fingerprint(
            whole=_sum(self.whole, other.whole),
            num_whole=self.num_whole + other.num_whole,
            part=_sum(self.part, other.part),
            num_part=self.num_part + other.num_part,
        )


def fingerprint(value: int, num_elements: int, *, is_part: bool = False) -> Fingerprint:
    """Of a sum over `num_elements` elements, which is taken modulo 2^64.

    Args:
        value: The sum.
        num_elements: How many elements it has.
        is_part: It is a shard's.
    """
    text = f"{value % _MODULUS:016x}"
    if is_part:
        return Fingerprint(part=text, num_part=num_elements)
    return Fingerprint(whole=text, num_whole=num_elements)


def total(fingerprints: Iterable[Fingerprint]) -> Fingerprint:
    """Of all that one process holds."""
    return reduce(add, fingerprints, Fingerprint())


def merged(own: Fingerprint, others: Iterable[Fingerprint]) -> Fingerprint:
    """As if `own`'s process held everything whole.

    Args:
        own: Of one process.
        others: Of the remaining processes of its group; of these only the shards count.
    """
    spread = [own, *others]
    value = int(own.whole or "0", 16) + sum(int(one.part or "0", 16) for one in spread)
    return fingerprint(value, own.num_whole + sum(one.num_part for one in spread))


def _sum(one: str, other: str) -> str:
    if not one or not other:
        return one or other
    return f"{(int(one, 16) + int(other, 16)) % _MODULUS:016x}"
