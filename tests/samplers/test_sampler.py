"""The laws of a sampler: stop anywhere, go on exactly."""

import copy
import json
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resumable.samplers import ResumableRandomSampler, ResumableSequentialSampler, StateMismatchError
from tests.samplers.jobs import draw, epoch_of, interleaved, ranks_of

jobs = st.fixed_dictionaries(
    {
        "num_samples": st.integers(1, 120),
        "batch_size": st.integers(1, 9),
        "drop_last": st.booleans(),
        "shuffle": st.booleans(),
        "seed": st.integers(0, 5),
    }
)
worlds = st.integers(1, 6)


def rest_of(stream, consumed, num_replicas, drop_last):
    """What the ranks together are to read from a position on, told in lists: `pad(S[G:])`, or the tail dropped."""
    rest = stream[consumed:]
    surplus = len(rest) % num_replicas
    if drop_last:
        return rest[: len(rest) - surplus]
    return rest + (stream * num_replicas)[: -len(rest) % num_replicas]


@given(
    job=jobs, epoch=st.integers(0, 3), schedule=st.lists(st.tuples(worlds, st.integers(0, 4)), min_size=1, max_size=5)
)
def test_any_schedule_of_stops_and_resizes_reads_the_epochs_stream(job, epoch, schedule):
    """Guarantees A and B (see `ResumableSampler`): from any stop, on any number of ranks, the rest of the one stream."""
    [alone] = ranks_of(**job, num_replicas=1)
    alone.set_epoch(epoch)
    state, consumed, stream = alone.state_dict(), 0, list(alone)
    for num_replicas, num_batches in schedule:
        ranks = ranks_of(**job, num_replicas=num_replicas)
        for sampler in ranks:
            sampler.load_state_dict(state)
            sampler.set_epoch(epoch)
        expected = rest_of(stream, consumed, num_replicas, job["drop_last"])
        assert expected == interleaved([list(sampler) for sampler in copy.deepcopy(ranks)])
        num_drawn = min(num_batches * job["batch_size"], ranks[0].remaining)
        assert expected[: num_drawn * num_replicas] == interleaved([draw(sampler, num_drawn) for sampler in ranks])
        states = [sampler.state_dict() for sampler in ranks]
        assert states[:1] * num_replicas == states
        state, consumed = states[0], states[0]["consumed"]


@given(job=jobs, stops=st.lists(st.integers(0, 30), max_size=3), num_replicas=worlds, epoch=st.integers(0, 3))
def test_epochs_after_a_resume_do_not_depend_on_where_the_job_was_stopped(job, stops, num_replicas, epoch):
    """Guarantee C of `ResumableSampler`, for a job that is stopped several times in one epoch."""
    untouched, stopped = ranks_of(**job, num_replicas=num_replicas)[0], ranks_of(**job, num_replicas=num_replicas)[0]
    stopped.set_epoch(epoch)
    for stop in stops:
        draw(stopped, min(stop, stopped.remaining))
        stopped.load_state_dict(stopped.state_dict())
        stopped.set_epoch(epoch)
    list(stopped)
    assert [epoch_of(untouched, epoch + k) for k in (1, 2)] == [epoch_of(stopped, epoch + k) for k in (1, 2)]


@given(job=jobs, num_replicas=worlds, data=st.data())
def test_start_iter_skips_batches_of_one_epoch_only(job, num_replicas, data):
    """`start_iter = n` is the epoch without its first n batches; the epoch after it is whole."""
    ranks = ranks_of(**job, num_replicas=num_replicas)
    num_batches = -(-len(ranks[0]) // job["batch_size"])
    start_iter = data.draw(st.integers(0, num_batches))
    for sampler in ranks:
        whole = [epoch_of(sampler, epoch) for epoch in (3, 4)]
        sampler.start_iter = start_iter
        sampler.set_epoch(3)
        assert start_iter == sampler.start_iter
        rest = whole[0][start_iter * job["batch_size"] :]
        assert (len(rest), len(whole[0])) == (sampler.remaining, len(sampler))
        assert [rest, whole[1]] == [list(sampler), epoch_of(sampler, 4)]


def test_the_epochs_after_a_skip_are_whole_without_set_epoch_too():
    """Reading a pass to its end clears `start_iter`: the skip does not stick."""
    sampler = ResumableRandomSampler(range(32), batch_size=4)
    sampler.start_iter = 4
    assert [len(list(sampler)) for _ in range(3)] == [16, 32, 32]
    assert sampler.start_iter == 0


def test_peeking_and_breaking_off_do_not_clear_a_skip():
    """A pass that was not read to its end may be begun again."""
    sampler = ResumableSequentialSampler(range(32), batch_size=4)
    sampler.start_iter = 4
    draw(sampler, 1)
    draw(sampler, 7)
    assert list(range(16, 32)) == list(sampler)


def test_a_skip_is_bound_to_the_epoch_that_set_epoch_names():
    """The same epoch keeps it, another one clears it."""
    sampler = ResumableSequentialSampler(range(8), batch_size=2)
    sampler.start_iter = 3
    sampler.set_epoch(5)
    sampler.set_epoch(5)
    assert draw(sampler, 2) == [6, 7]
    sampler.start_iter = 3
    sampler.set_epoch(5)
    sampler.set_epoch(6)
    assert list(range(8)) == list(sampler)


@pytest.mark.parametrize(
    ("start_iter", "error"), [(-1, ValueError), (9, ValueError), (1.0, TypeError), (True, TypeError)]
)
def test_a_skip_that_makes_no_sense_is_refused(start_iter, error):
    """Negative, beyond the epoch, or no integer: the message names the value."""
    sampler = ResumableRandomSampler(range(32), batch_size=4)
    with pytest.raises(error, match=f"start_iter={start_iter}"):
        sampler.start_iter = start_iter


def test_a_skip_of_the_whole_epoch_leaves_nothing_of_it():
    """The number of batches is a valid `start_iter`."""
    sampler = ResumableRandomSampler(range(30), batch_size=4)
    sampler.start_iter = 8
    assert [len(list(sampler)) for _ in range(2)] == [0, 30]


def test_without_set_epoch_every_pass_has_the_same_order():
    """The epoch is explicit: going over a sampler twice moves nothing."""
    sampler = ResumableRandomSampler(range(50))
    assert list(sampler) == list(sampler)


def test_loading_twice_equals_loading_once_and_leaves_the_state_alone():
    """A state read straight after a load equals the loaded one."""
    source, target = (ResumableRandomSampler(range(50), seed=3, batch_size=4) for _ in range(2))
    source.set_epoch(2)
    draw(source, 12)
    state = source.state_dict()
    frozen = copy.deepcopy(state)
    target.load_state_dict(state)
    target.load_state_dict(state)
    assert (frozen, frozen) == (state, target.state_dict())
    assert epoch_of(source, 2)[12:] == list(target)


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("epoch", [4, 5])
def test_set_epoch_may_come_before_or_after_the_load(order, epoch):
    """A state at the end of epoch 4 leaves nothing of epoch 4 and the whole of epoch 5, in either order of calls."""
    source, target = (ResumableRandomSampler(range(20), seed=1) for _ in range(2))
    expected = {4: [], 5: epoch_of(source, 5)}[epoch]
    epoch_of(source, 4)
    calls = [lambda: target.load_state_dict(source.state_dict()), lambda: target.set_epoch(epoch)]
    for call in calls if order == "after" else reversed(calls):
        call()
    assert expected == list(target)


@pytest.mark.parametrize("order", ["before", "after"])
def test_a_loop_that_begins_at_another_epoch_than_the_states_is_refused(order):
    """A disagreement between `set_epoch` and the state is an error, whichever came first."""
    source, target = (ResumableRandomSampler(range(20)) for _ in range(2))
    source.set_epoch(4)
    draw(source, 5)
    calls = [lambda: target.load_state_dict(source.state_dict()), lambda: target.set_epoch(5)]
    first, second = calls if order == "after" else reversed(calls)
    first()
    with pytest.raises(StateMismatchError, match=r"epoch 4 .* set_epoch\(5\)"):
        second()


def test_a_state_at_the_end_of_an_epoch_is_followed_by_a_whole_pass():
    """With no word about the epoch after the load, nothing is skipped."""
    source, target = (ResumableRandomSampler(range(20)) for _ in range(2))
    list(source)
    target.load_state_dict(source.state_dict())
    assert (0, list(source)) == (target.remaining, list(target))


def test_assigning_the_epoch_names_it():
    """Code that was written for torch's sampler may do so; the epoch that it has already changes nothing."""
    sampler = ResumableRandomSampler(range(20), seed=4)
    sampler.epoch = 3
    sampler.epoch = 3
    assert epoch_of(ResumableRandomSampler(range(20), seed=4), 3) == list(sampler)


def test_naming_the_next_epoch_moves_the_position_to_its_start():
    """A state between `set_epoch` and the first batch is of the new epoch, with nothing consumed."""
    sampler = ResumableRandomSampler(range(20), batch_size=2)
    epoch_of(sampler, 0)
    sampler.set_epoch(1)
    state = sampler.state_dict()
    assert (state["epoch"], state["consumed"], sampler.remaining, sampler.start_iter) == (1, 0, 20, 0)


def test_a_running_job_may_be_rolled_back():
    """A state of an earlier epoch loads once samples of the present one were drawn."""
    sampler = ResumableRandomSampler(range(20), batch_size=2)
    expected = epoch_of(sampler, 1)[4:]
    sampler.set_epoch(1)
    draw(sampler, 4)
    state = sampler.state_dict()
    sampler.set_epoch(3)
    draw(sampler, 6)
    sampler.load_state_dict(state)
    assert (1, expected) == (sampler.epoch, list(sampler))


def test_the_iterator_has_a_state_of_its_own():
    """A state taken from one iterator and loaded into another, even a used one, goes on at the same sample."""
    sampler = ResumableRandomSampler(range(30), batch_size=3)
    whole = list(sampler)
    iterator = iter(sampler)
    head = [next(iterator) for _ in range(7)]
    state = iterator.state_dict()
    other = iter(ResumableRandomSampler(range(30), batch_size=3))
    next(other)
    other.load_state_dict(state)
    assert (whole[:7], whole[7:]) == (head, list(other))


def test_an_iterator_that_has_ended_refuses_a_state():
    """It could not go on, and must not pretend."""
    sampler = ResumableRandomSampler(range(3))
    iterator = iter(sampler)
    list(iterator)
    with pytest.raises(RuntimeError, match="has ended"):
        iterator.load_state_dict(sampler.state_dict())


def test_the_state_is_what_was_committed_once_commit_was_called():
    """Batches that a loader has drawn and nobody has trained on are not counted."""
    sampler = ResumableSequentialSampler(range(40), batch_size=4)
    draw(sampler, 28)
    sampler.commit()
    sampler.commit(2)
    assert (sampler.state_dict()["consumed"], sampler.remaining) == (12, 28)


def test_committing_the_last_short_batch_ends_the_epoch():
    """Padding and a short batch take what is left."""
    sampler = ResumableSequentialSampler(range(10), batch_size=4)
    list(sampler)
    sampler.commit(3)
    assert sampler.state_dict()["consumed"] == 10


@pytest.mark.parametrize(("num_batches", "error"), [(3, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_more_than_was_drawn_cannot_be_committed(num_batches, error):
    """A commit that cannot be true is refused: most often the loader has another batch size."""
    sampler = ResumableSequentialSampler(range(40), batch_size=4)
    draw(sampler, 8)
    with pytest.raises(error, match=f"num_batches={num_batches}"):
        sampler.commit(num_batches)


def test_a_commit_before_the_first_batch_is_refused():
    """There is nothing that it could mean."""
    with pytest.raises(ValueError, match="no batch was drawn"):
        ResumableSequentialSampler(range(40)).commit()


def test_states_travel_through_json_and_through_safe_torch_checkpoints(tmp_path):
    """A state is plain data."""
    sampler = ResumableRandomSampler(range(30), seed=7)
    draw(sampler, 3)
    state = sampler.state_dict()
    torch.save(state, tmp_path / "state.pt")
    assert state == json.loads(json.dumps(state)) == torch.load(tmp_path / "state.pt", weights_only=True)


def test_a_sampler_can_be_pickled_in_mid_epoch():
    """Frameworks copy samplers and send them to other processes."""
    sampler = ResumableRandomSampler(range(30))
    draw(sampler, 3)
    assert sampler.state_dict() == pickle.loads(pickle.dumps(sampler)).state_dict()
