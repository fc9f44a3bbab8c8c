"""A sampler's state in torch.distributed.checkpoint."""

import json
import warnings

import pytest
import torch.distributed.checkpoint as dcp

from resumable.samplers import (
    ResumableBatchSampler,
    ResumableDataLoader,
    ResumableDistributedSampler,
    ResumableRandomSampler,
    StateFormatError,
    StateMismatchError,
    as_dcp,
)
from tests.samplers.jobs import draw
from tests.samplers.ranks import run_ranks


def rank_of(rank, num_replicas):
    return ResumableDistributedSampler(range(100), num_replicas, rank, seed=2, batch_size=2)


def save(rank, num_replicas, folder):
    sampler = rank_of(rank, num_replicas)
    sampler.set_epoch(3)
    draw(sampler, 8)
    dcp.save({"data": as_dcp(sampler)}, checkpoint_id=folder)


def load(rank, num_replicas, folder):
    sampler = rank_of(rank, num_replicas)
    dcp.load({"data": as_dcp(sampler)}, checkpoint_id=folder)
    return sampler.epoch, sampler.state_dict()["consumed"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("num_loading", [2, 8])
def test_four_ranks_save_and_others_load(tmp_path, num_loading):
    """The state is the same on all ranks, however many there are."""
    folder = tmp_path / "checkpoint"
    assert run_ranks(4, tmp_path / "save", lambda rank: save(rank, 4, folder)) == [None] * 4
    loaded = run_ranks(num_loading, tmp_path / "load", lambda rank: load(rank, num_loading, folder))
    assert [(3, 32)] * num_loading == loaded


@pytest.mark.timeout(120)
def test_one_rank_saves_for_all(tmp_path):
    """A checkpoint that rank 0 wrote alone holds what every rank needs."""
    folder = tmp_path / "checkpoint"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        warnings.filterwarnings("ignore", message="torch.distributed is unavailable")
        save(0, 4, folder)
    assert run_ranks(2, tmp_path / "load", lambda rank: load(rank, 2, folder)) == [(3, 32)] * 2


def test_there_is_exactly_one_leaf_from_the_start():
    """An empty template would load nothing and report success."""
    state = as_dcp(rank_of(0, 1)).state_dict()
    assert [str] == [type(leaf) for leaf in state.values()]
    assert json.loads(*state.values())["consumed"] == 0


@pytest.mark.parametrize(
    "wrap",
    [lambda sampler: sampler, ResumableBatchSampler, lambda sampler: ResumableDataLoader(range(100), sampler=sampler)],
    ids=["sampler", "batch sampler", "loader"],
)
def test_whatever_has_a_samplers_state_can_be_wrapped(wrap):
    """Sampler, batch sampler and loader write the same leaf."""
    source, target = rank_of(0, 1), rank_of(0, 1)
    draw(source, 6)
    as_dcp(wrap(target)).load_state_dict(as_dcp(source).state_dict())
    assert source.state_dict() == target.state_dict()


@pytest.mark.parametrize(
    "state", [{}, {"resumable_sampler": "{"}, {"resumable_sampler": None}, {"resumable_sampler": "[]"}]
)
def test_a_damaged_leaf_is_refused(state):
    """Never a silent start from the beginning."""
    with pytest.raises(StateFormatError):
        as_dcp(rank_of(0, 1)).load_state_dict(state)


def test_a_leaf_of_another_stream_is_refused():
    """The same rules hold as for any state."""
    with pytest.raises(StateMismatchError, match=r"stream\.seed"):
        as_dcp(rank_of(0, 1)).load_state_dict(as_dcp(ResumableRandomSampler(range(100), seed=4)).state_dict())
