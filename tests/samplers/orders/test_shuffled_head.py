"""What torch will draw, found without torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resumable.samplers import ResumableDistributedSampler
from resumable.samplers.orders import RandpermOrder
from resumable.samplers.orders.shuffled_head import is_foreseeable, shuffled_head, torch_shuffles_as_foreseen

SEEDS = [0, 1, -1, -(2**63), 2**31, 2**32 - 1, 2**32, 2**40 + 3, 2**63 - 1, 2**64 - 1]


def drawn(num_samples, seed):
    return torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed)).numpy()


@pytest.mark.parametrize("hundred", range(0, 3000, 100))
def test_every_short_permutation_is_foreseen_to_its_end(hundred):
    """For each length below 3000."""
    lengths = range(hundred + 1, hundred + 101)
    expected = np.concatenate([drawn(length, length) for length in lengths])
    assert np.array_equal(expected, np.concatenate([shuffled_head(n, n, n) for n in lengths]))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_head_is_torchs_for_every_seed_that_torch_takes(seed):
    """Torch's generator is seeded with the low 32 bits."""
    assert np.array_equal(drawn(5000, seed), shuffled_head(5000, seed, 5000))


@given(num_samples=st.integers(1, 10**6), seed=st.integers(-(2**63), 2**64 - 1), share=st.floats(0, 1))
def test_the_head_is_torchs_for_every_length(num_samples, seed, share):
    """However much of it is asked for."""
    length = int(share * min(num_samples, 5000))
    assert np.array_equal(drawn(num_samples, seed)[:length], shuffled_head(num_samples, seed, length))


@pytest.mark.parametrize(("num_samples", "expected"), [(214_748_363, True), (214_748_364, False), (2**40, False)])
def test_a_permutation_that_torch_draws_from_64_bits_is_not_foreseen(num_samples, expected):
    """Checked by hand against torch on both sides of the border, which takes a gigabyte."""
    assert expected == is_foreseeable(num_samples)


def test_reading_across_the_end_of_the_head_changes_nothing():
    """The whole permutation takes over where the head ends."""
    expected = drawn(300_000, 7).tolist()
    sampler = ResumableDistributedSampler(range(300_000), 1, 0, seed=7)
    assert expected == list(sampler)


def test_nothing_is_drawn_for_the_first_samples_of_a_long_permutation(monkeypatch):
    """They come at once."""
    expected = drawn(300_000, 7)[:512]
    stream = RandpermOrder().stream(num_samples=300_000, seed=3, epoch=4)
    monkeypatch.setattr(torch, "randperm", None)
    assert np.array_equal(expected, stream.at(np.arange(512)))


def test_a_torch_that_shuffles_short_permutations_otherwise_is_not_foreseen(monkeypatch):
    """Its own permutation is taken from the first sample on."""
    monkeypatch.setattr(torch, "randperm", lambda length, **_: torch.arange(length))
    torch_shuffles_as_foreseen.cache_clear()
    stream = RandpermOrder().stream(num_samples=300_000, seed=0, epoch=0)
    torch_shuffles_as_foreseen.cache_clear()
    assert stream.at(np.arange(4)).tolist() == [0, 1, 2, 3]


def test_a_torch_that_shuffles_long_permutations_otherwise_is_told(monkeypatch):
    """No order is half of one and half of another."""
    stream = RandpermOrder().stream(num_samples=300_000, seed=0, epoch=0)
    monkeypatch.setattr(torch, "randperm", lambda length, **_: torch.arange(length))
    with pytest.raises(RuntimeError, match="draws a different permutation of 300000 samples"):
        stream.at(np.arange(300_000))
