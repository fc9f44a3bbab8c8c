"""Samples that are finished in another order than they were drawn: each is trained on once, whenever the job stops."""

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resumable.samplers import (
    AgreementError,
    Endless,
    PositionUnknownError,
    ResumableBatchSampler,
    ResumableDataLoader,
    ResumableDistributedSampler,
    ResumableRandomSampler,
    StateFormatError,
    StateMismatchError,
    TokenBatches,
    joint_state,
    plan,
)
from resumable.samplers.in_flight import InFlight
from tests.samplers.ranks import run_ranks
from tests.samplers.streams import LENGTHS, NUM_SAMPLES


@given(history=st.lists(st.integers(0, 12), min_size=1, max_size=60))
def test_alone_the_samplers_own_state_says_it(history):
    """And an endless stream, which comes to a sample again while it may still be in flight, never loses one."""
    sampler = ResumableRandomSampler(range(7), seed=1, order=Endless("randperm"))
    stream = list(islice(iter(ResumableRandomSampler(range(7), seed=1, order=Endless("randperm"))), 100))
    iterator, in_flight, finished = iter(sampler), [], set()
    for number, lag in enumerate(history):
        in_flight.append(number)
        assert stream[number] == next(iterator)
        if lag < len(in_flight):
            # Which of two that are in flight is meant cannot be said: the first of them.
            sample = stream[in_flight[lag]]
            first = next(place for place in in_flight if stream[place] == sample)
            in_flight.remove(first)
            finished.add(first)
            sampler.commit([sample])
    restarted = ResumableRandomSampler(range(7), seed=1, order=Endless("randperm"))
    restarted.load_state_dict(sampler.state_dict() if finished else restarted.state_dict())
    expected = [sample for place, sample in enumerate(stream) if place not in finished]
    assert expected[:30] == list(islice(iter(restarted), 30))


def test_a_state_is_bounded_by_what_is_in_flight():
    """However far the others have gone on beyond a straggler; and what nobody ever finishes is refused, in the end."""
    sampler = ResumableRandomSampler(range(200_000), seed=1)
    samples = list(sampler)
    sampler.commit(samples[1:150_000])
    assert (sampler.state_dict()["consumed"], sampler.state_dict()["finished"]) == (0, [[1, 150_000]])
    with pytest.raises(ValueError, match="at most 16384 such holes; commit what was given up"):
        sampler.commit(samples[150_001::2])


@pytest.mark.parametrize("make", [list, np.array, torch.tensor, iter], ids=["list", "array", "tensor", "iterator"])
def test_samples_are_named_as_people_have_them(make):
    """Also one alone in a tensor."""
    sampler = ResumableRandomSampler(range(100), seed=1, batch_size=10)
    batch = next(iter(ResumableBatchSampler(sampler)))
    sampler.commit(make(batch[1:]))
    assert sampler.state_dict()["finished"] == [[1, 10]]
    sampler.commit(make(batch[:1]))
    assert sampler.state_dict()["consumed"] == 10


def test_a_loader_that_reads_ahead_stands_where_its_samples_are_finished():
    """Its workers' batches are in flight."""
    data = list(range(100))
    loader = ResumableDataLoader(data, sampler=ResumableRandomSampler(data, seed=1, batch_size=10), num_workers=1)
    iterator = iter(loader)
    first, second = next(iterator), next(iterator)
    loader.commit(second)
    state = loader.state_dict()
    assert (state["consumed"], state["finished"]) == (0, [[10, 20]])
    assert first.tolist() == plan(loader.sampler, 0, 1)[0][0]
    assert loader.sampler.remaining == 8 * 10 + 10


def test_what_is_not_in_flight_is_refused():
    """Never drawn, finished before, part of a group; and nothing is changed by it."""
    sampler = ResumableRandomSampler(range(10), seed=1)
    iterator = iter(sampler)
    first, second, third = (next(iterator) for _ in range(3))
    sampler.commit([second])
    state = sampler.state_dict()
    for samples in ([first, second], [first, first], [next(s for s in range(10) if s not in {first, second, third})]):
        with pytest.raises(ValueError, match="samples="):
            sampler.commit(samples)
    with pytest.raises(ValueError, match="were committed one by one"):
        sampler.commit(1)
    with pytest.raises(TypeError, match="samples='a'"):
        sampler.commit(["a"])
    assert state == sampler.state_dict()
    grouped = ResumableRandomSampler(range(NUM_SAMPLES), seed=1, groups=TokenBatches(LENGTHS, 400))
    with pytest.raises(ValueError, match="a group is finished as a whole"):
        grouped.commit(next(iter(grouped))[:-1])


def test_groups_are_told_from_each_other_by_all_that_is_in_them():
    """One may lie within another, or hold a sample several times."""
    in_flight = InFlight()
    in_flight.draw([[5], [7, 7, 7], [5, 7, 9], [5, 7, 7]])
    in_flight.finish([5, 7, 9])
    assert in_flight.finished.runs == ((2, 3),)
    in_flight.finish([5, 7, 7])
    assert in_flight.finished.runs == ((2, 4),)


def test_an_epoch_is_not_left_with_samples_in_flight():
    """A state of the next one could not tell of them."""
    sampler = ResumableRandomSampler(range(10), seed=1)
    samples = list(sampler)
    sampler.commit(samples[1:])
    with pytest.raises(ValueError, match="1 samples of epoch 0 were drawn and not committed"):
        sampler.set_epoch(1)
    sampler.commit(samples[:1])
    sampler.set_epoch(1)
    assert (sampler.epoch, sampler.state_dict()["consumed"]) == (1, 0)


def test_one_rank_does_not_speak_for_all():
    """Its own state is refused, and so are ranks that do not belong together."""
    ranks = [ResumableDistributedSampler(range(20), 2, rank, seed=1) for rank in range(2)]
    samples = list(islice(iter(ranks[0]), 3))
    ranks[0].commit(samples[1:])
    with pytest.raises(PositionUnknownError, match=r"joint_state\(sampler\), which all ranks call"):
        ranks[0].state_dict()
    assert joint_state(ranks)["finished"] == [[2, 3], [4, 5]]
    with pytest.raises(AgreementError, match="some share is read twice"):
        joint_state([ranks[0], ranks[0]])
    ranks[1].set_epoch(1)
    with pytest.raises(AgreementError, match="rank 0 in epoch 0 at sample 0, rank 1 in epoch 1 at sample 0"):
        joint_state(ranks)


def test_damaged_and_amended_states_are_refused():
    """A run outside of the rest, or where lengths have changed or samples were added."""
    sampler = ResumableRandomSampler(range(NUM_SAMPLES), seed=1)
    samples = list(islice(iter(sampler), 10))
    sampler.commit(samples[2:])
    state = sampler.state_dict()
    for finished in ([[2, 1000]], [[0, 2]], [[5, 5]], [[8, 9], [2, 4]]):
        with pytest.raises(StateFormatError, match="finished="):
            sampler.load_state_dict(state | {"finished": finished})
    grown = ResumableRandomSampler(range(2 * NUM_SAMPLES), seed=1)
    with pytest.raises(StateMismatchError, match="until none are in flight"):
        grown.load_state_dict(state, allow=["stream.num_samples"])
    grouped = ResumableRandomSampler(range(NUM_SAMPLES), seed=1, groups=TokenBatches(LENGTHS, 400))
    with pytest.raises(StateMismatchError, match="no whole groups"):
        grouped.load_state_dict(grouped.state_dict() | {"finished": [[1, 2]], "consumed": 0})


def _asynchronous_rank(rank):
    """Each rank has a lag of its own; all of them save together, and 2 ranks go on."""
    sampler = ResumableDistributedSampler(range(40), 3, rank, seed=1)
    drawn = list(islice(iter(sampler), 9))
    done = drawn[rank :: rank + 1]
    sampler.commit(done)
    return done, joint_state(sampler)


def test_ranks_join_what_they_have_finished_over_their_process_group(tmp_path):
    """All of them get the same state, and two others do the rest."""
    results = run_ranks(3, tmp_path / "store", _asynchronous_rank)
    done = [sample for samples, _ in results for sample in samples]
    [state, *others] = [state for _, state in results]
    assert [state, state] == others
    ranks = [ResumableDistributedSampler(range(40), 2, rank, seed=1, drop_last=False) for rank in range(2)]
    for sampler in ranks:
        sampler.load_state_dict(state)
    rest = [sample for row in zip(*ranks, strict=True) for sample in row][: 40 - len(done)]
    assert sorted(done + rest) == list(range(40))
