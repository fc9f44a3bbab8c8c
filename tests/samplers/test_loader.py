"""Loaders with workers: the state is what the loop received, not what the workers have drawn."""

import contextlib
from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from resumable.samplers import ResumableDataLoader, ResumableRandomSampler

LOADERS = [
    {"num_workers": 0},
    {"num_workers": 2},
    {"num_workers": 2, "persistent_workers": True, "prefetch_factor": 4},
]


class Numbers(Dataset):
    """Sample `i` is `i`."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index


class Endless(IterableDataset):
    def __iter__(self):
        return iter(range(10))


def loader_of(*, size=50, drop_last=False, **options):
    data = Numbers(size)
    return ResumableDataLoader(
        data, sampler=ResumableRandomSampler(data, seed=1, batch_size=4), drop_last=drop_last, **options
    )


def batches_of(loader, epoch):
    loader.set_epoch(epoch)
    return [batch.tolist() for batch in loader]


@pytest.mark.parametrize("options", LOADERS, ids=str)
@pytest.mark.parametrize("num_batches", [0, 1, 6, 13])
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_job_goes_on_with_the_batch_that_would_have_come_next(options, num_batches, epoch):
    """Stopped before the first batch, after it, in mid-epoch or after the last, over two more whole epochs."""
    reference = [batches_of(loader_of(), number) for number in range(4)]
    stopped = loader_of(**options)
    for number in range(epoch):
        batches_of(stopped, number)
    stopped.set_epoch(epoch)
    with contextlib.closing(_limited(stopped, num_batches)) as delivered:
        head = [batch.tolist() for batch in delivered]
    resumed = loader_of(**options)
    resumed.load_state_dict(stopped.state_dict())
    tail = [batches_of(resumed, number) for number in range(epoch, 4)]
    assert reference[epoch:] == [head + tail[0], *tail[1:]]


def _limited(loader, num_batches):
    iterator = iter(loader)
    for _ in range(num_batches):
        yield next(iterator)


@pytest.mark.parametrize("options", LOADERS, ids=str)
def test_a_dropped_last_batch_leaves_nothing_of_its_epoch(options):
    """A state behind the last full batch may be followed by the next epoch's number."""
    source, target = loader_of(drop_last=True, **options), loader_of(drop_last=True, **options)
    assert 12 == len(source) == len(iter(source)) == len(batches_of(source, 0))
    target.load_state_dict(source.state_dict())
    assert batches_of(source, 1) == batches_of(target, 1)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_dropped_last_batch_of_a_plain_loader_leaves_nothing_of_its_epoch(num_workers):
    """Its 12 full batches committed, the epoch is over: the two samples that torch's batch sampler drops are not dealt."""
    source, target = (ResumableRandomSampler(range(50), batch_size=4) for _ in range(2))
    for _ in DataLoader(Numbers(50), batch_size=4, sampler=source, num_workers=num_workers, drop_last=True):
        source.commit()
    target.load_state_dict(source.state_dict())
    source.set_epoch(1)
    target.set_epoch(1)
    assert list(source) == list(target)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_last_batch_that_is_not_dropped_is_still_to_come_until_it_is_committed(num_workers):
    """Also where workers have drawn it long ago."""
    sampler = ResumableRandomSampler(range(50), batch_size=4)
    for _ in islice(DataLoader(Numbers(50), batch_size=4, sampler=sampler, num_workers=num_workers), 12):
        sampler.commit()
    assert (sampler.state_dict()["consumed"], sampler.remaining) == (48, 2)


def test_the_position_is_known_before_the_first_batch_was_received():
    """Workers have drawn batches by then."""
    loader = loader_of(num_workers=2)
    iterator = iter(loader)
    assert loader.state_dict()["consumed"] == 0
    next(iterator)
    assert loader.state_dict()["consumed"] == 4


@pytest.mark.parametrize("options", LOADERS, ids=str)
def test_an_epoch_may_be_named_after_its_iterator_was_made(options):
    """Lightning does so after a restart: nothing is drawn before the first batch is asked for."""
    finished, resumed = loader_of(), loader_of(**options)
    batches_of(finished, 0)
    resumed.load_state_dict(finished.state_dict())
    iterator = iter(resumed)
    resumed.set_epoch(1)
    assert batches_of(finished, 1) == [batch.tolist() for batch in iterator]


class Broken(Numbers):
    def __getitem__(self, index):
        raise OSError("the disk is gone")


@pytest.mark.parametrize("options", LOADERS, ids=str)
def test_a_batch_that_could_not_be_loaded_does_not_count(options):
    """It was drawn, but nobody trained on it."""
    loader = ResumableDataLoader(Broken(50), sampler=ResumableRandomSampler(range(50), batch_size=4), **options)
    with pytest.raises(OSError, match="the disk is gone"):
        next(iter(loader))
    assert loader.state_dict()["consumed"] == 0


def test_two_passes_side_by_side_do_not_count_for_each_other():
    """The state follows the pass that was begun last."""
    loader = loader_of()
    first, second = iter(loader), iter(loader)
    received = [next(iterator) for iterator in (first, first, second, first)]
    assert (len(received), loader.state_dict()["consumed"]) == (4, 4)


@pytest.mark.parametrize("options", LOADERS, ids=str)
def test_each_pass_counts_from_its_own_start(options):
    """Also where the epoch is not named anew: nothing is left of the pass before."""
    loader = loader_of(**options)
    list(loader)
    iterator = iter(loader)
    next(iterator)
    assert loader.state_dict()["consumed"] == 4


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_plain_loader_is_exact_with_commits(num_workers):
    """Six batches trained on are six batches in the state, however far workers have read ahead."""
    sampler = ResumableRandomSampler(range(200), batch_size=4)
    iterator = iter(DataLoader(Numbers(200), batch_size=4, sampler=sampler, num_workers=num_workers))
    for _ in range(6):
        next(iterator)
        sampler.commit()
    assert sampler.state_dict()["consumed"] == 24


def test_a_state_that_workers_have_run_ahead_of_warns_once():
    """Without commits the state tells what was drawn, which is more than the loop has seen."""
    sampler = ResumableRandomSampler(range(200), batch_size=4)
    iterator = iter(DataLoader(Numbers(200), batch_size=4, sampler=sampler, num_workers=2))
    next(iterator)
    with pytest.warns(UserWarning, match=r"workers have read ahead.*commit\(\)") as caught:
        states = [sampler.state_dict() for _ in range(2)]
    assert len(caught) == 1
    assert states[0]["consumed"] > 4


def test_a_plain_loader_without_workers_needs_no_commits():
    """It draws a batch when the loop asks for it: what was drawn was received, and nothing warns."""
    sampler = ResumableRandomSampler(range(200), batch_size=4)
    iterator = iter(DataLoader(Numbers(200), batch_size=4, sampler=sampler))
    for _ in range(6):
        next(iterator)
    assert sampler.state_dict()["consumed"] == 24


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"in_order": False}, ValueError, "in_order=False: .* leave holes"),
        ({"dataset": Endless()}, TypeError, "dataset=Endless: an iterable data set decides its own order"),
        ({"sampler": torch.utils.data.RandomSampler(range(5))}, TypeError, "sampler=RandomSampler"),
        ({"batch_size": 8}, ValueError, "batch_size=8: the sampler counts in batches of 4"),
        ({"shuffle": True}, ValueError, "shuffle"),
    ],
)
def test_what_cannot_be_exact_is_refused_with_the_reason(arguments, error, message):
    """Better no loader than one whose state is a guess."""
    sampler = ResumableRandomSampler(range(10), batch_size=4)
    with pytest.raises(error, match=message):
        ResumableDataLoader(**{"dataset": Numbers(10), "sampler": sampler} | arguments)
