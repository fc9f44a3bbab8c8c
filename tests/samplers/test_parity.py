"""From the start of an epoch our samplers yield what torch's yield."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DistributedSampler, SequentialSampler

from resumable.samplers import ResumableDistributedSampler, ResumableRandomSampler, ResumableSequentialSampler
from tests.samplers.jobs import epoch_of


@given(
    num_samples=st.integers(1, 200),
    ranks=st.integers(1, 12).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))),
    shuffle=st.booleans(),
    seed=st.integers(-3, 2**31),
    drop_last=st.booleans(),
    epoch=st.integers(0, 1000),
)
def test_every_rank_reads_what_torchs_distributed_sampler_reads(num_samples, ranks, shuffle, seed, drop_last, epoch):
    """The order is bit-identical for every size, world, rank, tail rule and epoch, fewer samples than ranks included."""
    arguments = (range(num_samples), *ranks, shuffle, seed, drop_last)
    theirs, ours = DistributedSampler(*arguments), ResumableDistributedSampler(*arguments, 3)
    theirs.set_epoch(epoch)
    assert list(theirs) == epoch_of(ours, epoch)
    assert len(theirs) == len(ours)
    assert (theirs.num_samples, theirs.total_size) == (ours.num_samples, ours.total_size)


@given(num_samples=st.integers(0, 300), seed=st.integers(0, 2**31), epoch=st.integers(0, 1000))
def test_the_random_sampler_reads_randperm_seeded_with_seed_plus_epoch(num_samples, seed, epoch):
    """One rank's order is torch.randperm of a generator seeded with seed + epoch."""
    expected = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed + epoch)).tolist()
    assert expected == epoch_of(ResumableRandomSampler(range(num_samples), seed), epoch)


@given(num_samples=st.integers(0, 300))
def test_the_sequential_sampler_reads_what_torchs_reads(num_samples):
    """Samples come as they lie."""
    assert list(SequentialSampler(range(num_samples))) == list(ResumableSequentialSampler(range(num_samples)))


def test_an_order_longer_than_a_block_is_read_whole():
    """The borders between blocks lose and repeat nothing."""
    expected = torch.randperm(20_001, generator=torch.Generator().manual_seed(0)).tolist()
    assert expected == list(ResumableRandomSampler(range(20_001)))


def test_samples_are_plain_ints():
    """A data set is indexed with ints, never with NumPy's or torch's numbers."""
    assert [int] * 5 == [type(sample) for sample in ResumableRandomSampler(range(5))]


def test_without_a_process_group_torchs_own_error_comes_through():
    """Ranks that nobody has given cannot be guessed."""
    with pytest.raises((RuntimeError, ValueError), match=r"[Dd]efault process group"):
        ResumableDistributedSampler(range(10))


def test_ranks_come_from_the_process_group(tmp_path):
    """Number of ranks and rank default to those of the default process group."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", world_size=1, rank=0)
    try:
        sampler = ResumableDistributedSampler(range(10), shuffle=False)
    finally:
        torch.distributed.destroy_process_group()
    assert list(range(10)) == list(sampler)


def test_lightning_and_accelerate_see_a_distributed_sampler():
    """Frameworks look for torch's class before they replace a sampler."""
    assert isinstance(ResumableDistributedSampler(range(10), 2, 0), DistributedSampler)
