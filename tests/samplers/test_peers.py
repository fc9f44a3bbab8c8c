"""What other samplers get wrong when a job goes on, one known failure each."""

import pytest

from resumable.samplers import ResumableDistributedSampler, ResumableRandomSampler, StateMismatchError
from tests.samplers.jobs import draw, epoch_of, interleaved, ranks_of


def test_epochs_after_a_resume_are_not_truncated():
    """helios: `start_iter` is set once and never cleared, so that every later epoch lacks its first batches."""
    sampler = ResumableRandomSampler(range(80), batch_size=10)
    sampler.start_iter = 5
    assert [len(epoch_of(sampler, epoch)) for epoch in (0, 1, 2)] == [30, 80, 80]


def test_a_resume_in_mid_epoch_stays_in_its_epochs_order():
    """helios: the epoch is raised before the rest is read, which then comes from the next epoch's order."""
    sampler = ResumableRandomSampler(range(80), batch_size=10)
    expected = epoch_of(sampler, 3)[50:]
    sampler.start_iter = 5
    assert expected == epoch_of(sampler, 3)


def test_a_checkpoint_on_the_last_batch_does_not_loop():
    """helios resumes at the same last batch for ever; torchdata's next epoch is empty."""
    source, target = (ResumableRandomSampler(range(80), batch_size=10) for _ in range(2))
    source.set_epoch(0)
    draw(source, 80)
    target.load_state_dict(source.state_dict())
    assert [len(epoch_of(target, epoch)) for epoch in (0, 1, 2)] == [0, 80, 80]


def test_a_data_set_of_another_length_is_not_taken_silently():
    """torchdata goes on somewhere in a different order."""
    state = ResumableRandomSampler(range(80)).state_dict()
    with pytest.raises(StateMismatchError, match=r"stream\.num_samples: saved 80, here 81"):
        ResumableRandomSampler(range(81)).load_state_dict(state)


@pytest.mark.parametrize(("num_replicas", "batch_size"), [(4, 5), (2, 5), (8, 3), (1, 7)])
def test_nothing_is_repeated_or_missed_when_the_batch_or_the_ranks_change(num_replicas, batch_size):
    """Megatron-LM's cyclic sampler repeats 23 of 100 samples and misses 27."""
    before = ranks_of(100, 4, batch_size=5)
    read = interleaved([draw(sampler, 10) for sampler in before])
    after = ranks_of(100, num_replicas, batch_size=batch_size)
    for sampler in after:
        sampler.load_state_dict(before[0].state_dict())
    read += interleaved([list(sampler) for sampler in after])[:60]
    assert list(range(100)) == sorted(read)


def test_ranks_do_not_drift_apart_at_a_ragged_end():
    """Megatron-LM: ranks run into different epochs where samples do not divide evenly."""
    ranks = ranks_of(97, 4, batch_size=5)
    assert [[len(epoch_of(sampler, epoch)) for sampler in ranks] for epoch in range(3)] == [[25, 25, 25, 25]] * 3


def test_a_rest_shorter_than_the_ranks_is_padded_from_the_epochs_start():
    """horovod crashes there: it pads from the rest, which has too little to give."""
    source, stream = ranks_of(17, 3)[0], epoch_of(ranks_of(17, 1)[0], 0)
    draw(source, 5)
    after = ranks_of(17, 8)
    for sampler in after:
        sampler.load_state_dict(source.state_dict())
    assert stream[15:] + stream[:6] == interleaved([list(sampler) for sampler in after])


def test_one_ranks_state_serves_all_ranks():
    """Where states differ by rank, a save by rank 0 alone sends the others elsewhere."""
    ranks = ranks_of(100, 4, batch_size=5)
    expected = [list(sampler)[15:] for sampler in ranks]
    resumed = [ResumableDistributedSampler(range(100), 4, rank, batch_size=5) for rank in range(4)]
    ranks[0].set_epoch(0)
    draw(ranks[0], 15)
    for sampler in resumed:
        sampler.load_state_dict(ranks[0].state_dict())
    assert expected == [list(sampler) for sampler in resumed]
