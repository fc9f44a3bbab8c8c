"""`feistel/2`: a shuffle that is computed, not stored; and `feistel/1`, for states that name it."""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from resumable.samplers.orders.keyed import key, shuffled
from resumable.samplers.orders.order import Order
from resumable.samplers.orders.stream import Positions, Stream

_NUM_ROUNDS = 6
_MIN_BITS = 6
"""Narrower halves know too few round functions: over 3 bits the orders of five samples are far from equally likely."""
_MAX_LISTED = 4096
"""Up to here an order is a list in `feistel/2`. Halves of 6 bits and less leave neighbours together too often."""
_MAX_BITS_AT_ONCE = 16
"""Up to this width an epoch is computed as a whole: most of it will be asked for, and who is sent through the network again
comes to where others began."""


@dataclass(frozen=True)
class FeistelOrder(Order):
    """A pseudorandom permutation in constant memory, of which any position can be had at once.

    A Feistel network over a power of two (the smallest that holds `num_samples`); a result beyond `num_samples` is sent
    through the network again until it falls inside ("cycle walking"), rarely more than once or twice. A walk that starts
    inside comes back inside, so that this is a bijection for *every* number of samples. Of a power of two a network gives
    only even permutations: half of the keys exchange two samples more. Up to 4096 samples, where a network of so few bits
    would be biased, random numbers are sorted instead.

    The network's halves differ by one bit where the width is odd, and are changed in turn. Its six round functions
    are keyed by a hash of (seed, epoch, number of samples): neighbouring seeds and epochs share nothing, unlike seeds
    that are added. It shuffles well enough to train with; it keeps no secret. Up to 2^62 samples.

    Source: M. Luby and C. Rackoff, "How to construct pseudorandom permutations from pseudorandom functions" (1988);
    J. Black and P. Rogaway, "Ciphers with arbitrary finite domains" (2002), for the cycle walking. The round function
    multiplies by the constants of A. Appleby's MurmurHash3.
    """

    name: str = "feistel/2"

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Derive the keys of an epoch; beyond 2^16 samples, no time or memory that grows with their number."""
        if num_samples <= _MAX_LISTED:
            return _List(shuffled(num_samples, key("feistel/2.list", seed, epoch, num_samples)))
        is_odd = key("feistel/2.parity", seed, epoch, num_samples) % 2 == 1
        return _network(self.name, num_samples, seed, epoch, is_odd=is_odd)


@dataclass(frozen=True)
class FirstFeistelOrder(Order):
    """The shuffle of earlier releases: a network for every number of samples, of 64 places and more.

    Between 33 and 1000 samples, neighbours stay neighbours up to 1.07 times as often as they should, and all
    permutations of 64 and 128 samples are even.
    """

    name: str = "feistel/1"

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Derive the keys of an epoch."""
        return _network(self.name, num_samples, seed, epoch, is_odd=False)


def _network(name: str, num_samples: int, seed: int, epoch: int, *, is_odd: bool) -> "_Network":
    identity = struct.pack("<qqq", seed, epoch, num_samples)
    digest = hashlib.blake2b(identity, digest_size=8 * _NUM_ROUNDS, person=name.encode()).digest()
    num_bits = max((num_samples - 1).bit_length(), _MIN_BITS)
    return _Network(
        num_samples=num_samples,
        low_bits=num_bits - num_bits // 2,
        high_bits=num_bits // 2,
        keys=np.frombuffer(digest, dtype="<u4").astype(np.uint32).reshape(_NUM_ROUNDS, 2),
        is_odd=is_odd,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _List:
    samples: Positions

    def at(self, positions: Positions) -> Positions:
        found: Positions = self.samples[positions]
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Network:
    num_samples: int
    low_bits: int
    high_bits: int
    keys: NDArray[np.uint32]
    """Two words for each round."""
    is_odd: bool
    """Whether samples 0 and 1 are exchanged in the end."""

    def at(self, positions: Positions) -> Positions:
        if self.low_bits + self.high_bits > _MAX_BITS_AT_ONCE:
            return self._inside(self._permuted(np.array(positions, dtype=np.int64)), self._permuted)
        samples: Positions = self._whole[positions]
        return samples

    @cached_property
    def _whole(self) -> Positions:
        permuted = self._permuted(np.arange(1 << (self.low_bits + self.high_bits), dtype=np.int64))
        return self._inside(permuted[: self.num_samples].copy(), permuted.__getitem__)

    def _inside(self, samples: Positions, again: Callable[[Positions], Positions]) -> Positions:
        """Send those beyond the last sample through the network again until none is."""
        outside = np.flatnonzero(samples >= self.num_samples)
        while outside.size:
            walked = again(samples[outside])
            samples[outside] = walked
            outside = outside[walked >= self.num_samples]
        if self.is_odd:
            samples ^= samples < 2
        return samples

    def _permuted(self, values: Positions) -> Positions:
        """Send values through the network, in their place."""
        low, high = values.astype(np.uint32), (values >> self.low_bits).astype(np.uint32)
        low &= np.uint32((1 << self.low_bits) - 1)
        # Two buffers for all rounds: fresh ones would cost as much as the arithmetic.
        mixed, shifted = np.empty_like(low), np.empty_like(low)
        for first, second in self.keys.reshape(-1, 2, 2):
            high ^= _mixed(low, first, self.high_bits, mixed, shifted)
            low ^= _mixed(high, second, self.low_bits, mixed, shifted)
        values[:] = high
        values <<= self.low_bits
        values |= low
        return values


def _mixed(
    half: NDArray[np.uint32],
    key: NDArray[np.uint32],
    num_bits: int,
    mixed: NDArray[np.uint32],
    shifted: NDArray[np.uint32],
) -> NDArray[np.uint32]:
    """Write a keyed hash of `half`, of so many bits, into `mixed`."""
    np.bitwise_xor(half, key[0], out=mixed)
    mixed *= np.uint32(0x85EBCA6B)
    np.right_shift(mixed, np.uint32(15), out=shifted)
    mixed ^= shifted
    # A second key word, else two rounds would be one function of shifted inputs.
    mixed += key[1]
    mixed *= np.uint32(0xC2B2AE35)
    # The high bits of a product depend on all bits of its factors; the low ones do not.
    mixed >>= np.uint32(32 - num_bits)
    return mixed
