"""Another number of ranks in mid-epoch: global batches as sets, and tails that do not move."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.samplers.jobs import draw, ranks_of

GLOBAL_BATCH = 12
worlds = st.sampled_from([1, 2, 3, 4, 6, 12])


def global_batches(ranks, num_batches):
    """The next global batches of a job, each as the sorted union of the ranks' batches."""
    batch_size = ranks[0].batch_size
    shares = [draw(sampler, min(num_batches * batch_size, sampler.remaining)) for sampler in ranks]
    firsts = range(0, max(len(shares[0]), 1), batch_size)
    return [sorted(sample for share in shares for sample in share[first : first + batch_size]) for first in firsts]


def fixed_batch_ranks(num_samples, num_replicas, **arguments):
    return ranks_of(num_samples, num_replicas, batch_size=GLOBAL_BATCH // num_replicas, seed=4, **arguments)


@pytest.mark.parametrize("order", ["randperm", "feistel"])
@given(num_samples=st.integers(GLOBAL_BATCH, 150), schedule=st.lists(st.tuples(worlds, st.integers(1, 3)), max_size=4))
def test_global_batches_are_the_same_sets_whatever_the_number_of_ranks(order, num_samples, schedule):
    """Guarantee A (see `ResumableSampler`), and with drop_last="global" for the whole epoch, its end included."""
    arguments = {"drop_last": "global", "order": order}
    [alone] = fixed_batch_ranks(num_samples, 1, **arguments)
    alone.set_epoch(2)
    state, stream, batches = alone.state_dict(), list(alone), []
    reference = [sorted(stream[first : first + GLOBAL_BATCH]) for first in range(0, len(stream), GLOBAL_BATCH)]
    for num_replicas, num_batches in [*schedule, (2, 1000)]:
        ranks = fixed_batch_ranks(num_samples, num_replicas, **arguments)
        for sampler in ranks:
            sampler.load_state_dict(state)
            sampler.set_epoch(2)
        batches += [batch for batch in global_batches(ranks, num_batches) if batch]
        [state, *others] = [sampler.state_dict() for sampler in ranks]
        assert [state] * len(others) == others
    assert reference == batches


@given(num_samples=st.integers(1, 150), num_replicas=worlds)
def test_the_tail_that_is_dropped_depends_on_the_global_batch_only(num_samples, num_replicas):
    """All numbers of ranks with one product read as many samples, in whole batches."""
    ranks = fixed_batch_ranks(num_samples, num_replicas, drop_last="global")
    expected = num_samples // GLOBAL_BATCH * GLOBAL_BATCH
    assert (
        {expected // num_replicas} == {len(sampler) for sampler in ranks} == {len(list(sampler)) for sampler in ranks}
    )
    assert (ranks[0].num_samples, ranks[0].total_size) == (expected // num_replicas, expected)
