"""In the place of torch's `ElasticDistributedSampler`: the same arguments, and no sample lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed.elastic.utils.data.elastic_distributed_sampler import ElasticDistributedSampler

from resumable.samplers import ResumableElasticSampler
from tests.samplers.jobs import draw, epoch_of, interleaved


def ranks_of(kind, num_samples, num_replicas, start_index=0):
    return [kind(range(num_samples), num_replicas, rank, start_index) for rank in range(num_replicas)]


def job(kind, num_samples, stops):
    """What is trained on in epoch 1 by (ranks, rows until the next restart) in turn, and in epoch 2 by the last."""
    trained = []
    for num_replicas, num_rows in stops:
        ranks = ranks_of(kind, num_samples, num_replicas, min(len(trained), num_samples))
        for sampler in ranks:
            sampler.set_epoch(1)
        shares = [draw(sampler, min(num_rows, getattr(sampler, "remaining", len(sampler)))) for sampler in ranks]
        trained += interleaved(shares)
    return trained, interleaved([epoch_of(sampler, 2) for sampler in ranks])


@given(num_samples=st.integers(9, 60), num_replicas=st.integers(1, 9), epoch=st.integers(0, 3))
def test_from_the_start_of_an_epoch_it_is_torchs(num_samples, num_replicas, epoch):
    """To the last index, padding included."""
    theirs, ours = (
        [epoch_of(sampler, epoch) for sampler in ranks_of(kind, num_samples, num_replicas)]
        for kind in (ElasticDistributedSampler, ResumableElasticSampler)
    )
    assert theirs == ours


@given(
    num_samples=st.integers(1, 60),
    stops=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 6)), max_size=4),
    last=st.integers(1, 5),
)
def test_whatever_the_ranks_each_sample_comes_once(num_samples, stops, last):
    """And in the order of the undisturbed epoch; the one that follows is whole. At its end some come again, as padding."""
    trained, following = job(ResumableElasticSampler, num_samples, [*stops, (last, num_samples)])
    [alone] = ranks_of(ResumableElasticSampler, num_samples, 1)
    assert (epoch_of(alone, 1), epoch_of(alone, 2)) == (trained[:num_samples], following[:num_samples])
    assert (len(trained) - num_samples < 5, len(following) - num_samples < 5) == (True, True)


def test_torchs_loses_and_repeats():
    """What the other is for, as long as this holds."""
    trained, following = job(ElasticDistributedSampler, 60, [(4, 5), (2, 60)])
    repeated, lost = len(trained) - len(set(trained)), set(range(60)) - set(trained)
    assert (repeated > 0, len(lost), set(range(20)) & set(following)) == (True, repeated, set())


@pytest.mark.parametrize("start_index", [-1, 11])
def test_a_start_outside_of_the_epoch_is_refused(start_index):
    """The message names it."""
    with pytest.raises(ValueError, match=f"start_index={start_index}"):
        ResumableElasticSampler(range(10), 2, 0, start_index)


def test_the_state_holds_the_position():
    """Loaded into one that starts elsewhere, it decides."""
    sampler = ResumableElasticSampler(range(10), 2, 0, 4)
    sampler.set_epoch(3)
    state = sampler.state_dict()
    target = ResumableElasticSampler(range(10), 5, 0, 8)
    target.load_state_dict(state)
    assert (state["epoch"], state["consumed"], len(list(target))) == (3, 4, 2)
