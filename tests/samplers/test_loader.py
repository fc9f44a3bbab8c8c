"""Loaders with workers: the state is what the loop received, not what the workers have drawn."""

import contextlib
import threading
from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from resumable.samplers import (
    ResumableBatchSampler,
    ResumableDataLoader,
    ResumableDistributedSampler,
    ResumableRandomSampler,
    ResumableSequentialSampler,
)

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


class PartlyBroken(Numbers):
    """Samples 33 and 98 cannot be read."""

    def __getitem__(self, index):
        if index in (33, 98):
            raise OSError("the sector is gone")
        return index


def read_on(loader):
    """What a loop gets that goes on behind batches which cannot be loaded, with the state behind each batch."""
    iterator, read = iter(loader), []
    while True:
        try:
            read.append((next(iterator).tolist(), loader.state_dict()))
        except OSError:
            continue
        except StopIteration:
            return read


@pytest.mark.parametrize("options", LOADERS, ids=str)
@pytest.mark.parametrize("num_replicas", [1, 2])
def test_a_loop_that_goes_on_behind_a_batch_that_cannot_be_loaded_resumes_exactly(options, num_replicas):
    """The position is right at every stop, and the state lists what was left out, in mid-epoch and at its end."""

    def make():
        data = PartlyBroken(100)
        sampler = ResumableDistributedSampler(data, num_replicas, 0, shuffle=False, batch_size=5)
        return ResumableDataLoader(data, sampler=sampler, **options)

    stopped = make()
    whole = read_on(stopped)
    resumed = make()
    for number, (_, state) in enumerate(whole[::3]):
        resumed.load_state_dict(state)
        resumed.set_epoch(0)
        assert whole[number * 3 + 1 :] == read_on(resumed)
    # Sample 33 is on rank 0 of one, and not on rank 0 of two, as 98 is on both.
    left_out = {1: [*range(30, 35), *range(95, 100)], 2: list(range(90, 100, 2))}[num_replicas]
    assert left_out == stopped.state_dict()["skipped"]
    assert stopped.state_dict()["consumed"] == 100
    stopped.set_epoch(1)
    assert stopped.state_dict()["skipped"] == []


@pytest.mark.parametrize("options", LOADERS, ids=str)
def test_a_batch_that_could_not_be_loaded_does_not_count(options):
    """It was drawn, but nobody trained on it."""
    loader = ResumableDataLoader(Broken(50), sampler=ResumableRandomSampler(range(50), batch_size=4), **options)
    with pytest.raises(OSError, match="the disk is gone"):
        next(iter(loader))
    assert loader.state_dict()["consumed"] == 0


def test_two_passes_side_by_side_do_not_count_for_each_other():
    """The state is that of the first, which goes on after the second began."""
    loader = loader_of()
    first, second = iter(loader), iter(loader)
    received = [next(iterator) for iterator in (first, first, second, first)]
    assert (len(received), loader.state_dict()["consumed"]) == (4, 12)


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
    with pytest.warns(UserWarning, match=r"fetched before they are trained on.*commit\(\)") as caught:
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


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_pass_leaves_the_global_random_state_alone(num_workers):
    """So what is drawn after a resume, whose iterator begins in mid-epoch, is what would have been drawn."""
    loader = loader_of(num_workers=num_workers)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    next(iter(loader))
    assert torch.equal(before, torch.get_rng_state())


def seeds_of_workers(seed, epoch, *, rank=0):
    torch.manual_seed(seed)
    sampler = ResumableDistributedSampler(range(8), 2, rank, batch_size=2)
    loader = ResumableDataLoader(Seeds(), sampler=sampler, num_workers=2)
    return batches_of(loader, epoch)


class Seeds(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.initial_seed()


def test_workers_are_seeded_by_the_process_the_rank_and_the_epoch():
    """Each differs, and each comes again."""
    seeds = [seeds_of_workers(*place, rank=rank) for rank in (0, 1) for place in ((1, 0), (1, 1), (2, 0))]
    flat = {seed for batches in seeds for batch in batches for seed in batch}
    assert len(flat) == 6 * 2
    assert seeds_of_workers(1, 1) == seeds[1]


def test_a_generator_of_the_callers_own_seeds_the_workers():
    """As with torch's loader."""
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    next(iter(loader_of(generator=generator)))
    assert not torch.equal(before, generator.get_state())


def test_a_loader_has_what_its_sampler_has():
    """Epoch, skip and rest, in batches; and the batch sampler that it draws by."""
    loader = loader_of()
    loader.set_epoch(3)
    loader.start_iter = 5
    assert (loader.epoch, loader.start_iter, loader.remaining, len(loader)) == (3, 5, 8, 13)
    next(iter(loader))
    assert isinstance(loader.batch_sampler, ResumableBatchSampler)
    assert (loader.batch_size, loader.batch_sampler.batch_size, loader.batch_sampler.sampler) == (4, 4, loader.sampler)


@pytest.mark.parametrize("drop_last", [False, True])
def test_a_batch_sampler_may_be_given(drop_last):
    """In place of batch size, sampler and `drop_last`; it stays the one that was given."""
    batches = ResumableBatchSampler(ResumableSequentialSampler(range(10), batch_size=4), drop_last=drop_last)
    loader = ResumableDataLoader(Numbers(10), batch_sampler=batches)
    assert loader.batch_sampler is batches
    assert (len(loader), [len(batch) for batch in loader]) == ((2, [4, 4]) if drop_last else (3, [4, 4, 2]))


def test_commits_replace_what_was_delivered():
    """For a loop that takes batches ahead."""
    loader = loader_of()
    for _ in islice(iter(loader), 6):
        pass
    loader.commit(4)
    assert loader.state_dict()["consumed"] == 16


@pytest.mark.parametrize("make", [ResumableDataLoader, DataLoader])
def test_a_thread_that_fetches_ahead_is_warned_of(make):
    """What it has taken is not what was trained on."""
    sampler = ResumableRandomSampler(range(50), batch_size=4)
    iterator = iter(make(Numbers(50), batch_size=4, sampler=sampler))
    thread = threading.Thread(target=lambda: [next(iterator) for _ in range(3)])
    thread.start()
    thread.join()
    with pytest.warns(UserWarning, match="fetched before they are trained on"):
        assert sampler.state_dict()["consumed"] == 12


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("drop_last", [False, True])
def test_the_batches_that_a_plain_loader_draws_are_counted_in_its_size(num_workers, drop_last):
    """A sampler that was given no batch size learns the loader's from torch's batch sampler."""
    source, target = (ResumableRandomSampler(range(50), seed=2) for _ in range(2))
    loader = DataLoader(Numbers(50), batch_size=8, sampler=source, num_workers=num_workers, drop_last=drop_last)
    whole = list(source)
    source.set_epoch(0)
    iterator = iter(loader)
    for _ in range(3):
        next(iterator)
        source.commit()
    target.load_state_dict(source.state_dict())
    assert whole[24:] == list(target)
    for _ in iterator:
        source.commit()
    assert source.state_dict()["consumed"] == 50


@pytest.mark.parametrize(
    "sampler",
    [
        ResumableDistributedSampler(range(50), 1, 0, batch_size=4, drop_last="global"),
        ResumableRandomSampler(range(50), batch_size=4),
    ],
)
def test_a_loader_with_batches_of_a_different_size_is_refused_where_the_sampler_counts_in_its_own(sampler):
    """A skip of five batches, or a global batch that is not full, would mean something else."""
    sampler.start_iter = 5
    with pytest.raises(ValueError, match=r"batch_size=8 in the loader, but the sampler.* has batch_size=4"):
        next(iter(DataLoader(Numbers(50), batch_size=8, sampler=sampler)))
