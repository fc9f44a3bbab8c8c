"""What is planned is what comes."""

import pytest

from resumable.samplers import ResumableBatchSampler, ResumableDistributedSampler, plan
from tests.samplers.streams import GROUPS, NUM_SAMPLES, ORDERS


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("order", ["randperm", "mixture of blocks", "endless mixture"])
def test_every_ranks_next_batches_are_those_of_the_plan(order, groups):
    """From the position on which the sampler stands, on all ranks, whichever of them is asked; asking moves nothing."""
    batch_size = 1 if groups.startswith("token") else 3
    ranks = [
        ResumableDistributedSampler(
            range(NUM_SAMPLES), 2, rank, seed=3, order=ORDERS[order](), groups=GROUPS[groups](), batch_size=batch_size
        )
        for rank in range(2)
    ]
    batches = [iter(ResumableBatchSampler(sampler)) for sampler in ranks]
    for iterator in batches:
        next(iterator)
    states = [sampler.state_dict() for sampler in ranks]
    plans = [plan(sampler, 0, 4) for sampler in ranks]
    assert states == [sampler.state_dict() for sampler in ranks]
    expected = [[next(iterator) for iterator in batches] for _ in range(len(plans[0]))]
    assert [expected, expected] == plans


def test_a_plan_ends_with_the_epoch_and_begins_another_one_at_its_start():
    """A last short batch is one."""
    sampler = ResumableDistributedSampler(range(10), 1, 0, shuffle=False, batch_size=4)
    assert plan(sampler, 5, 99) == [[[0, 1, 2, 3]], [[4, 5, 6, 7]], [[8, 9]]]
    with pytest.raises(ValueError, match="steps=-1"):
        plan(sampler, 0, -1)
