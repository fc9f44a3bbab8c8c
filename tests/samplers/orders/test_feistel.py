"""The computed shuffle: a bijection for every size, and as uniform as torch's."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.samplers.orders import order_named

POWERS = [2**k + offset for k in range(6, 25) for offset in (-1, 0, 1)]


def shuffled(name, num_samples, *, seed=0, epoch=0):
    return order_named(name).stream(num_samples=num_samples, seed=seed, epoch=epoch).at(np.arange(num_samples))


def is_permutation(samples, num_samples):
    """Every sample is there, hence once."""
    seen = np.zeros(num_samples, dtype=bool)
    seen[samples] = True
    return samples.size == num_samples and bool(seen.all())


@pytest.mark.parametrize("sizes", [range(start, start + 500) for start in range(1, 5001, 500)], ids=str)
def test_it_is_a_bijection_for_every_size_up_to_5000(sizes):
    """No size is special, whatever the seed and the epoch."""
    assert [size for size in sizes if not is_permutation(shuffled("feistel", size, seed=size, epoch=7), size)] == []


@pytest.mark.parametrize("num_samples", POWERS)
def test_it_is_a_bijection_around_every_power_of_two(num_samples):
    """Widths change there: grain's shuffle is no bijection at 2^16 + 1 and 2^18 + 1."""
    assert is_permutation(shuffled("feistel", num_samples), num_samples)


@given(num_samples=st.integers(2**24, 2**62 - 1), seed=st.integers(0, 2**60), data=st.data())
def test_no_two_positions_of_a_huge_epoch_hold_the_same_sample(num_samples, seed, data):
    """Sampled where it cannot be counted: distinct positions hold distinct samples within bounds."""
    start = data.draw(st.integers(0, num_samples - 2**12))
    step = data.draw(st.integers(1, (num_samples - start) // 2**12))
    positions = np.arange(start, start + step * 2**12, step)
    samples = order_named("feistel").stream(num_samples=num_samples, seed=seed, epoch=3).at(positions)
    assert np.unique(samples).size == 2**12
    assert 0 <= samples.min() <= samples.max() < num_samples


def surplus(values, num_values, *, num_bins=64):
    """Standard deviations by which chi-square exceeds its expectation for uniform values of `0 .. num_values - 1`."""
    edges = np.linspace(0, num_values, min(num_bins, num_values) + 1).round().astype(np.int64)
    expected = np.diff(edges) * values.size / num_values
    found = np.histogram(values, bins=np.append(edges[:-1], num_values))[0]
    freedom = expected.size - 1
    return (((found - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


def num_repeats(num_samples):
    return min(400, max(2, 50_000 // num_samples))


def first_samples(name, num_samples):
    """The sample at one position, over many epochs of a few seeds (far apart, for `randperm` adds them)."""
    orders = [
        order_named(name).stream(num_samples=num_samples, seed=seed, epoch=epoch)
        for seed in range(0, 10_000, 1000)
        for epoch in range(60)
    ]
    return np.concatenate([order.at(np.arange(num_samples // 3, num_samples // 3 + 1)) for order in orders])


def epochs(name, num_samples):
    """Some consecutive epochs, fewer of longer ones."""
    return np.stack([shuffled(name, num_samples, epoch=epoch) for epoch in range(num_repeats(num_samples))])


def neighbour_steps(name, num_samples):
    """How far apart, around the circle, neighbours in the order lie: never 0."""
    return np.diff(epochs(name, num_samples), axis=1).ravel() % num_samples - 1


def displacements(name, num_samples):
    """How far, around the circle, each sample was moved from its place."""
    return (epochs(name, num_samples) - np.arange(num_samples)).ravel() % num_samples


def epoch_steps(name, num_samples):
    """How far apart, around the circle, one position's samples lie in neighbouring epochs."""
    return np.diff(epochs(name, num_samples), axis=0).ravel() % num_samples


def seed_steps(name, num_samples):
    """How far apart, around the circle, one position's samples lie under neighbouring seeds."""
    seeds = [shuffled(name, num_samples, seed=seed) for seed in range(num_repeats(num_samples))]
    return np.diff(np.stack(seeds), axis=0).ravel() % num_samples


MEASURES = [
    (first_samples, 0),
    (neighbour_steps, 1),
    (displacements, 0),
    (epoch_steps, 0),
    (seed_steps, 0),
]


@pytest.mark.parametrize(
    ("name", "num_samples"),
    [
        *product(["feistel", "randperm"], [12, 100, 4096, 4097]),
        ("feistel", 200_000),
        pytest.param("randperm", 200_000, marks=pytest.mark.thorough),
    ],
)
@pytest.mark.parametrize(("measure", "num_missing"), MEASURES, ids=lambda value: getattr(value, "__name__", None))
def test_the_order_is_as_uniform_as_torchs(name, num_samples, measure, num_missing):
    """By each measure both orders lie within what chance alone does: five standard deviations."""
    assert surplus(measure(name, num_samples), num_samples - num_missing) < 5


@pytest.mark.parametrize("num_samples", [3, 4, 5])
def test_all_orders_of_few_samples_are_equally_likely(num_samples):
    """A width of few bits would reach only some of the permutations."""
    weights = num_samples ** np.arange(num_samples)
    codes = [shuffled("feistel", num_samples, seed=s, epoch=e) @ weights for s in range(40) for e in range(40)]
    num_orders = int(np.prod(np.arange(1, num_samples + 1)))
    ranks = np.unique(codes, return_inverse=True)[1]
    assert num_orders == ranks.max() + 1
    assert surplus(ranks, num_orders, num_bins=num_orders) < 5


def test_seed_and_epoch_are_not_added():
    """Seed 0 in epoch 1 is not seed 1 in epoch 0, as it is with `randperm/1`."""
    assert not np.array_equal(shuffled("feistel", 1000, seed=0, epoch=1), shuffled("feistel", 1000, seed=1, epoch=0))


def surplus_of_neighbours(name, num_samples):
    """Standard deviations by which neighbouring samples follow each other more often than by chance."""
    num_epochs = 1_000_000 // num_samples
    orders = [shuffled(name, num_samples, epoch=epoch) for epoch in range(num_epochs)]
    found = sum(int((np.abs(np.diff(order)) == 1).sum()) for order in orders)
    expected = 2 * (num_samples - 1) / num_samples * num_epochs
    return (found - expected) / np.sqrt(expected)


def is_even(order):
    """Whether an even number of exchanges makes the permutation."""
    left, num_cycles = set(range(len(order))), 0
    while left:
        num_cycles += 1
        sample = left.pop()
        while (sample := int(order[sample])) in left:
            left.remove(sample)
    return (len(order) - num_cycles) % 2 == 0


@pytest.mark.parametrize("num_samples", [33, 48, 64, 65, 100, 128, 200, 333, 512, 1000])
def test_neighbours_do_not_stay_together(num_samples):
    """No more often than chance has it, within four standard deviations."""
    assert abs(surplus_of_neighbours("feistel/2", num_samples)) < 4


@pytest.mark.parametrize("num_samples", [33, 64, 128, 1000, 8192])
def test_odd_permutations_are_as_likely_as_even_ones(num_samples):
    """Of a power of two too: 100 epochs, within four standard deviations."""
    num_even = sum(is_even(shuffled("feistel/2", num_samples, epoch=epoch)) for epoch in range(100))
    assert abs(num_even - 50) < 20


def test_the_measures_find_what_the_first_version_did():
    """They can fail."""
    assert surplus_of_neighbours("feistel/1", 128) > 4
    assert all(is_even(shuffled("feistel/1", 64, epoch=epoch)) for epoch in range(100))
