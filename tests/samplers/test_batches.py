"""The batch sampler: the sampler's own position, in lists."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler

from resumable.samplers import ResumableBatchSampler, ResumableDistributedSampler, ResumableRandomSampler
from tests.samplers.jobs import ranks_of

jobs = st.tuples(st.integers(1, 80), st.integers(1, 5), st.integers(1, 9), st.booleans(), st.booleans())


@given(job=jobs, epoch=st.integers(0, 3))
def test_every_rank_reads_the_batches_that_torch_would_give_it(job, epoch):
    """The same lists as torch's BatchSampler over torch's DistributedSampler, short or dropped last batch included."""
    num_samples, num_replicas, batch_size, drop_last, drop_last_batch = job
    for rank, sampler in enumerate(ranks_of(num_samples, num_replicas, drop_last=drop_last, batch_size=batch_size)):
        torchs = DistributedSampler(range(num_samples), num_replicas, rank, drop_last=drop_last)
        expected, ours = (
            BatchSampler(torchs, batch_size, drop_last_batch),
            ResumableBatchSampler(sampler, None, drop_last_batch),
        )
        torchs.set_epoch(epoch)
        ours.set_epoch(epoch)
        assert (len(expected), len(expected)) == (len(ours), ours.remaining)
        assert list(expected) == list(ours)


@given(job=jobs, data=st.data())
def test_a_stopped_epoch_goes_on_with_the_next_batch(job, data):
    """By a state of the batch sampler, by one of its iterator, and by `start_iter`."""
    num_samples, num_replicas, batch_size, drop_last, drop_last_batch = job
    [first, *_], [second, *_], [third, *_], [fourth, *_] = (
        ranks_of(num_samples, num_replicas, drop_last=drop_last, batch_size=batch_size) for _ in range(4)
    )
    source, by_sampler, by_iterator, by_skip = (
        ResumableBatchSampler(sampler, drop_last=drop_last_batch) for sampler in (first, second, third, fourth)
    )
    stop = data.draw(st.integers(0, len(source)))
    expected = list(source)
    source.set_epoch(0)
    iterator = iter(source)
    head = [next(iterator) for _ in range(stop)]
    by_sampler.load_state_dict(json.loads(json.dumps(iterator.state_dict())))
    by_sampler.set_epoch(0)
    by_skip.start_iter = stop
    resumed = iter(by_iterator)
    by_iterator.set_epoch(0)
    resumed = iter(by_iterator)
    resumed.load_state_dict(iterator.state_dict())
    assert [expected[:stop]] + [expected[stop:]] * 3 == [head, list(by_sampler), list(resumed), list(by_skip)]


def test_a_dropped_last_batch_ends_the_epoch_with_the_last_full_one():
    """A state behind the last full batch has nothing left of the epoch, also when batches are committed."""
    batches = ResumableBatchSampler(ResumableRandomSampler(range(10), batch_size=4), drop_last=True)
    assert len(list(batches)) == 2
    batches.commit(2)
    assert (batches.state_dict()["consumed"], batches.remaining) == (10, 0)


def test_a_loader_takes_it_as_its_batch_sampler():
    """`DataLoader(batch_sampler=...)` reads its lists, from a skip on."""
    batches = ResumableBatchSampler(ResumableDistributedSampler(range(20), 2, 1, shuffle=False, batch_size=3))
    batches.start_iter = 2
    assert batches.start_iter == 2
    assert [batch.tolist() for batch in DataLoader(range(20), batch_sampler=batches)] == [[13, 15, 17], [19]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 8}, ValueError, "batch_size=8: the sampler counts in batches of 4"),
        ({"drop_last": 1}, TypeError, "drop_last=1"),
        ({"sampler": range(5)}, TypeError, "sampler=range"),
    ],
)
def test_a_bad_argument_is_refused_by_name_and_value(arguments, error, message):
    """Two batch sizes would make every position wrong."""
    with pytest.raises(error, match=message):
        ResumableBatchSampler(**{"sampler": ResumableRandomSampler(range(10), batch_size=4)} | arguments)
