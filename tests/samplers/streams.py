"""Streams of every kind for tests, and jobs that go through them on changing numbers of ranks."""

import json
from collections import Counter

import numpy as np

from resumable.samplers import Blocks, Endless, Mixture, Packs, ResumableDistributedSampler, TokenBatches

SIZES = (61, 30, 9)
NUM_SAMPLES = sum(SIZES)
LENGTHS = np.random.RandomState(5).randint(1, 100, 4 * NUM_SAMPLES)

ORDERS = {
    "sequential": lambda: "sequential",
    "randperm": lambda: "randperm",
    "feistel": lambda: "feistel",
    "blocks": lambda: Blocks(8, window=3),
    "blocks of randperm": lambda: Blocks(7, window=2, order="randperm"),
    "mixture": lambda: Mixture(SIZES, [0.6, 0.3, 0.1]),
    "mixture of blocks": lambda: Mixture(SIZES, [1, 2, 3], order=[Blocks(8, window=2), Blocks(5), "randperm"]),
    "endless": lambda: Endless("randperm"),
    "endless blocks": lambda: Endless(Blocks(8, window=3)),
    "endless mixture": lambda: Endless(Mixture(SIZES, [0.6, 0.3, 0.1])),
    "mixture of mixtures": lambda: Endless(
        Mixture((91, 9), [3, 1], order=[Mixture((61, 30), [1, 1]), Endless("feistel")])
    ),
}
ONCE = ["sequential", "randperm", "feistel", "blocks", "blocks of randperm"]
"""Orders in which each sample comes once an epoch."""
GROUPS = {
    "samples": lambda: None,
    "token batches": lambda: TokenBatches(LENGTHS, 400, block_size=32),
    "token batches by sum": lambda: TokenBatches(LENGTHS, 300, padded=False, max_samples=6, block_size=24),
    "packs": lambda: Packs(LENGTHS, 256, block_size=16),
}


def job(order, groups, num_replicas, *, state=None, num_samples=NUM_SAMPLES, epoch=0, allow=(), **arguments):
    """One sampler for each rank, going on from a state."""
    ranks = [
        ResumableDistributedSampler(range(num_samples), num_replicas, rank, order=order, groups=groups, **arguments)
        for rank in range(num_replicas)
    ]
    for sampler in ranks:
        sampler.set_epoch(epoch)
        if state is not None:
            sampler.load_state_dict(state, allow=allow)
    return ranks


def rows(ranks, num_rows):
    """What the ranks read in so many turns, flattened to samples in the order of the stream; and their common state."""
    iterators = [iter(sampler) for sampler in ranks]
    read = [next(iterator, None) for _ in range(num_rows) for iterator in iterators]
    states = [json.loads(json.dumps(sampler.state_dict())) for sampler in ranks]
    assert states == states[:1] * len(states)
    return [item for item in read if item is not None], states[0]


def flat(items):
    """The samples of items, grouped or not."""
    return [sample for item in items for sample in (item if isinstance(item, list) else [item])]


def repeated(samples):
    """How often each sample came beyond once, and which never came."""
    counts = Counter(samples)
    return sum(count - 1 for count in counts.values()), sorted(set(range(NUM_SAMPLES)) - set(counts))
