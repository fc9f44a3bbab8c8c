"""Shares that follow from a device mesh."""

import pytest
from torch.distributed.device_mesh import init_device_mesh

from resumable.samplers import ResumableDistributedSampler
from tests.samplers.jobs import interleaved
from tests.samplers.ranks import run_ranks

NAMES = ("dp_replicate", "dp_shard", "tp")


def shares(rank):
    """What one rank of 8, as 2 x 2 x 2, reads for different data-parallel dimensions; and after it has stopped."""
    mesh = init_device_mesh("cpu", (2, 2, 2), mesh_dim_names=NAMES)
    parts = {"both": mesh["dp_replicate", "dp_shard"], "shard": mesh["dp_shard"], "all": mesh}
    read = {}
    for name, part in parts.items():
        sampler = ResumableDistributedSampler(range(40), mesh=part, seed=3)
        iterator = iter(sampler)
        head = [next(iterator) for _ in range(2)]
        resumed = ResumableDistributedSampler(range(40), mesh=part, seed=3)
        resumed.load_state_dict(sampler.state_dict())
        read[name] = head + list(resumed)
    return read


def test_ranks_that_share_their_data_parallel_coordinates_read_the_same(tmp_path):
    """8 ranks as 2 x 2 x 2, with one, two or all dimensions data-parallel; each share is the one of that number."""
    read = run_ranks(8, tmp_path / "store", shares)
    both, shard, every = ([ranks[name] for ranks in read] for name in ("both", "shard", "all"))
    order = list(ResumableDistributedSampler(range(40), 1, 0, seed=3))
    assert (order, order, order) == (interleaved(both[::2]), interleaved([shard[0], shard[2]]), interleaved(every))
    assert both[::2] == both[1::2]
    assert shard == [shard[0], shard[0], shard[2], shard[2]] * 2


def test_a_mesh_is_given_alone_and_is_one():
    """Two sources of one number are one too many."""
    with pytest.raises(TypeError, match="expected a DeviceMesh"):
        ResumableDistributedSampler(range(40), mesh="dp")
    with pytest.raises(ValueError, match="follow from the mesh"):
        ResumableDistributedSampler(range(40), 2, 0, mesh="dp")
