"""torchdata's nodes: their `SamplerWrapper` keeps a sampler's state, and names the epochs."""

import pytest
from torchdata.nodes import Batcher, Loader, SamplerWrapper

from resumable.samplers import ResumableDistributedSampler

NUM_BATCHES = 5


def loader_of():
    sampler = ResumableDistributedSampler(range(40), 2, 1, seed=7, batch_size=4)
    return Loader(Batcher(SamplerWrapper(sampler), 4))


@pytest.mark.parametrize("stop", [1, NUM_BATCHES - 1, NUM_BATCHES, NUM_BATCHES + 1, 2 * NUM_BATCHES])
def test_a_loader_of_nodes_goes_on_behind_any_batch(stop):
    """Behind the last one of an epoch the next epoch comes, and no other one again."""
    loader, batches, states = loader_of(), [], []
    for _ in range(3):
        for batch in loader:
            batches.append(batch)
            states.append(loader.state_dict())
    restarted = loader_of()
    restarted.load_state_dict(states[stop - 1])
    num_passes = 3 - stop // NUM_BATCHES
    assert batches[stop:] == [batch for _ in range(num_passes) for batch in restarted]
