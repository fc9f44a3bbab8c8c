"""The first samples of `torch.randperm`, without drawing all of it."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

_NUM_SAMPLES_LIMIT = (2**32 - 1) // 20
"""From here on torch takes 64 bits a draw."""


def shuffled_head(num_samples: int, seed: int, length: int) -> NDArray[np.int32]:
    """Return the first `length` samples that `torch.randperm(num_samples)` draws on the CPU.

    It is a Fisher-Yates shuffle: step `i` swaps place `i` with one at or behind it, so that place `i` is final after
    `i + 1` steps. Only the places that were swapped are kept here. Time and memory grow with `length` alone.

    Args:
        num_samples: Length of the whole permutation, `0 < num_samples < 2**31`.
        seed: Seed of torch's generator, any integer that `manual_seed` takes.
        length: How many samples, `0 <= length <= num_samples`.

    Returns:
        Array of shape `(length,)`.

    Source: `randperm_cpu` in ATen, for fewer than 2**32 // 20 samples; M. Matsumoto and T. Nishimura, "Mersenne Twister"
    (1998), of which `RandomState` is the form that torch seeds.
    """
    words = np.frombuffer(np.random.RandomState(seed % 2**32).bytes(4 * length), dtype="<u4")
    places = np.arange(length)
    swapped = (places + words % (num_samples - places)).tolist()
    at: dict[int, int] = {}
    head = np.empty(length, dtype=np.int32)
    for place, other in enumerate(swapped):
        mine = at.get(place, place)
        head[place] = at.get(other, other)
        at[other] = mine
    return head


def is_foreseeable(num_samples: int) -> bool:
    """Whether `shuffled_head` knows what torch will draw."""
    return num_samples < _NUM_SAMPLES_LIMIT and torch_shuffles_as_foreseen()


@cache
def torch_shuffles_as_foreseen() -> bool:
    """Whether this torch gives a known answer; asked once a process."""
    num_samples, seed = 1000, 5489
    drawn = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed), dtype=torch.int32)
    return np.array_equal(drawn.numpy(), shuffled_head(num_samples, seed, num_samples))
