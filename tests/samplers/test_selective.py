"""Subsets and weighted draws, under the same contract as every sampler."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resumable.samplers import (
    ResumableRandomSampler,
    ResumableSubsetSampler,
    ResumableWeightedSampler,
    StateMismatchError,
)
from tests.samplers.jobs import draw, epoch_of, interleaved

weights = st.lists(st.sampled_from([0.0, 0.5, 1.0, 7.0]), min_size=1, max_size=30).filter(any)
layouts = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(0, 40))


@given(
    indices=st.lists(st.integers(0, 1000), max_size=60),
    order=st.sampled_from(["randperm", "feistel"]),
    epoch=st.integers(0, 5),
)
def test_a_subset_is_read_in_the_order_of_its_places(indices, order, epoch):
    """A shuffled subset is the shuffle of its places, and holds each of them once."""
    subset = ResumableSubsetSampler(indices, seed=3, order=order)
    places = epoch_of(ResumableRandomSampler(indices, seed=3, order=order), epoch)
    assert [indices[place] for place in places] == epoch_of(subset, epoch)


def test_an_unshuffled_subset_is_read_as_it_is_given():
    """Repeated and unsorted indices included."""
    assert list(ResumableSubsetSampler(torch.tensor([4, 4, 1, 9]), shuffle=False)) == [4, 4, 1, 9]


@pytest.mark.parametrize(
    "make",
    [
        lambda **layout: ResumableSubsetSampler(range(100, 147), seed=5, **layout),
        lambda **layout: ResumableSubsetSampler(range(100, 147), seed=5, order="feistel", **layout),
        lambda **layout: ResumableWeightedSampler([1.0, 0.0, 3.0, 2.0] * 9, 47, seed=5, **layout),
    ],
    ids=["subset", "feistel subset", "weighted"],
)
@given(before=layouts, after=layouts)
def test_a_stopped_epoch_goes_on_with_the_same_stream_on_other_ranks(make, before, after):
    """The rest of the stream is what it would have been, whatever the layout was and becomes."""
    stream = epoch_of(make(), 2)
    num_replicas, batch_size, num_drawn = before
    ranks = [make(num_replicas=num_replicas, rank=rank, batch_size=batch_size) for rank in range(num_replicas)]
    for sampler in ranks:
        sampler.set_epoch(2)
        draw(sampler, min(num_drawn, sampler.remaining))
    [state] = {json.dumps(sampler.state_dict()) for sampler in ranks}
    consumed = json.loads(state)["consumed"]
    resumed = [make(num_replicas=after[0], rank=rank, batch_size=after[1]) for rank in range(after[0])]
    for sampler in resumed:
        sampler.load_state_dict(json.loads(state))
        sampler.set_epoch(2)
    assert stream[consumed:] == interleaved([list(sampler) for sampler in resumed])[: len(stream) - consumed]


@given(weights=weights, seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_a_sample_without_weight_is_never_drawn(weights, seed, epoch):
    """And every draw is a sample of the data set."""
    drawn = epoch_of(ResumableWeightedSampler(weights, 200, seed), epoch)
    assert len(drawn) == 200
    assert all(0 <= sample < len(weights) and weights[sample] > 0 for sample in drawn)


def test_samples_are_drawn_in_proportion_to_their_weights():
    """Counts over many draws lie within five standard deviations of their expectation."""
    probabilities = np.array([0.1, 0.0, 0.5, 0.25, 0.15])
    counts = np.bincount(epoch_of(ResumableWeightedSampler(probabilities * 8, 100_000), 1), minlength=5)
    deviations = (counts - 100_000 * probabilities) / np.sqrt(100_000 * probabilities * (1 - probabilities) + 1e-9)
    assert np.abs(deviations).max() < 5


def test_neighbouring_draws_and_epochs_share_nothing():
    """Pairs of draws that follow each other, and that stand at one place of two epochs, are equally likely."""
    sampler = ResumableWeightedSampler([1.0] * 8, 64_000)
    first, second = (np.array(epoch_of(sampler, epoch)) for epoch in (0, 1))
    pairs = [np.bincount(first[:-1] * 8 + first[1:]), np.bincount(first * 8 + second)]
    assert np.abs(np.array(pairs) - 1000).max() < 5 * np.sqrt(1000)


def test_the_draws_never_change_under_their_name():
    """`weighted/1` is a promise to checkpoints."""
    assert draw(ResumableWeightedSampler([1.0, 2.0, 3.0, 4.0], seed=9, num_samples=2**61), 8) == [
        3,
        2,
        2,
        1,
        2,
        1,
        2,
        2,
    ]


@pytest.mark.parametrize(
    ("source", "target", "field"),
    [
        (ResumableSubsetSampler([1, 2, 3]), ResumableSubsetSampler([1, 5, 3]), "fingerprint.dataset"),
        (ResumableWeightedSampler([1.0, 2.0]), ResumableWeightedSampler([1.0, 2.5]), "fingerprint.dataset"),
        (ResumableWeightedSampler([1.0, 2.0]), ResumableSubsetSampler([0, 1]), "stream.order"),
        (ResumableSubsetSampler([0, 1]), ResumableSubsetSampler([0, 1], shuffle=False), "stream.shuffle"),
    ],
)
def test_other_indices_or_weights_are_another_stream(source, target, field):
    """A state for one of them is refused by the other."""
    with pytest.raises(StateMismatchError, match=field):
        target.load_state_dict(source.state_dict())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ResumableWeightedSampler([1.0, -0.5]), r"weights\[1\]=-0\.5"),
        (lambda: ResumableWeightedSampler([float("nan")]), r"weights\[0\]=nan"),
        (lambda: ResumableWeightedSampler([0.0, 0.0]), "positive and finite sum"),
        (lambda: ResumableWeightedSampler([]), "positive and finite sum"),
        (lambda: ResumableWeightedSampler([1e308, 1e308]), "positive and finite sum"),
        (lambda: ResumableWeightedSampler([[1.0]]), r"shape \(1, 1\)"),
        (lambda: ResumableWeightedSampler([1.0], -1), "num_samples=-1"),
        (lambda: ResumableSubsetSampler([0, -3]), r"indices\[1\]=-3"),
        (lambda: ResumableSubsetSampler([0.5]), "expected a row of integers"),
        (lambda: ResumableSubsetSampler([True]), "expected a row of integers"),
        (lambda: ResumableSubsetSampler([1, 2], rank=1), "rank=1"),
    ],
)
def test_weights_and_indices_that_make_no_sense_are_refused(make, message):
    """The message names the first wrong one."""
    with pytest.raises(ValueError, match=message):
        make()
