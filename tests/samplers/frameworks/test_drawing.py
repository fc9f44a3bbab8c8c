"""Who draws from a sampler is found in torch's own frames; no object of the user's is asked anything."""

import threading
from itertools import islice

import pytest
from torch.utils.data import BatchSampler, DataLoader

from resumable.samplers import (
    ResumableBatchSampler,
    ResumableDataLoader,
    ResumableRandomSampler,
    ResumableSequentialSampler,
)


class Experiment:
    """Has the options of its training loader, and evaluates with a different one."""

    def __init__(self):
        self.batch_size, self.drop_last, self.sampler, self._num_workers = 32, True, None, 4
        self.num_samples = 0

    def evaluate(self, loader):
        self.num_samples += sum(len(batch) for batch in loader)


class Strict:
    """Every attribute that a stranger asks for is an error."""

    def __getattr__(self, name):
        raise RuntimeError(f"there is no {name} yet")

    def read(self, sampler):
        return len(list(sampler))

    def state(self, sampler):
        return sampler.state_dict()


class Computed:
    """Properties that do something."""

    _num_workers = property(lambda self: self.asked.append("_num_workers") or 1)
    sampler = property(lambda self: self.asked.append("sampler"))
    drop_last = property(lambda self: self.asked.append("drop_last") or True)
    batch_size = property(lambda self: self.asked.append("batch_size") or 1)

    def __init__(self):
        self.asked = []

    def read(self, sampler):
        return len(list(sampler))


@pytest.mark.parametrize("make", [DataLoader, ResumableDataLoader])
def test_a_class_with_options_of_its_own_loses_no_samples(make):
    """Its `drop_last` is not the loader's."""
    experiment = Experiment()
    experiment.evaluate(
        make(range(1000), batch_size=32, sampler=ResumableSequentialSampler(range(1000), batch_size=32))
    )
    assert experiment.num_samples == 1000


def test_no_attribute_of_a_caller_is_looked_up():
    """Whatever it would do: raise, compute, build a loader."""
    sampler, computed = ResumableRandomSampler(range(10), batch_size=4), Computed()
    assert (Strict().read(sampler), computed.read(sampler), computed.asked) == (10, 10, [])
    assert Strict().state(sampler)["consumed"] == 10


def test_a_loader_inside_a_loader_is_not_mistaken_for_the_one_that_draws():
    """A data set that reads from a sampler of its own, within a loader that drops its last batch."""

    class Nested:
        def __len__(self):
            return 10

        def __getitem__(self, index):
            return len(
                list(DataLoader(range(10), batch_size=4, sampler=ResumableRandomSampler(range(10), batch_size=4)))
            )

    outer = DataLoader(Nested(), batch_size=4, drop_last=True)
    assert [batch.tolist() for batch in outer] == [[3] * 4] * 2


@pytest.mark.parametrize("drop_last", [False, True])
def test_torchs_batch_sampler_is_found_where_it_draws_directly(drop_last):
    """Without a loader, and from within a class that has an opinion of its own."""
    sampler = ResumableRandomSampler(range(10), batch_size=4)
    batches = list(BatchSampler(sampler, 4, drop_last))
    assert (len(batches), sampler.state_dict()["consumed"]) == (2 if drop_last else 3, 10)


def test_a_dropping_batch_sampler_ends_the_epoch_with_the_last_full_batch():
    """What it would drop is not dealt out, so that a state behind the last batch has nothing left."""
    sampler = ResumableRandomSampler(range(10), batch_size=4)
    batches = iter(BatchSampler(sampler, 4, True))
    next(batches), next(batches)
    assert (sampler.state_dict()["consumed"], sampler.remaining) == (10, 0)


class Sorting:
    """A batch sampler of somebody's own: it draws thirty samples, and gives them in batches of four, the largest first."""

    def __init__(self, sampler):
        self.samples = sampler

    def __iter__(self):
        samples = iter(self.samples)
        while held := sorted(islice(samples, 30), reverse=True):
            for first in range(0, len(held), 4):
                yield held[first : first + 4]

    def __len__(self):
        return 25


class Holding(Sorting):
    """One that is its own iterator, around a batch sampler of ours."""

    def __iter__(self):
        self.batches, self.held = iter(ResumableBatchSampler(self.samples)), []
        return self

    def __next__(self):
        self.held = self.held or list(islice(self.batches, 8))
        if not self.held:
            raise StopIteration
        return self.held.pop()


def alone(batch_sampler, _num_workers):
    return batch_sampler


def loaded(batch_sampler, num_workers):
    return DataLoader(range(100), batch_sampler=batch_sampler, num_workers=num_workers)


@pytest.mark.parametrize("commits", [False, True])
@pytest.mark.parametrize(
    ("make", "batch_sampler", "num_workers"),
    [(alone, Sorting, 0), (loaded, Sorting, 0), (loaded, Sorting, 1), (loaded, Holding, 0), (loaded, Holding, 1)],
)
def test_a_batch_sampler_that_draws_more_than_it_yields_is_found_out(make, batch_sampler, num_workers, commits):
    """Without a commit, and where batches are committed by their number, which says nothing of a different order."""
    sampler = ResumableRandomSampler(range(100), batch_size=4)
    batches = iter(make(batch_sampler(sampler), num_workers))
    for _ in range(3):
        next(batches)
        if commits:
            sampler.commit()
    with pytest.warns(
        UserWarning, match=rf"{batch_sampler.__name__}\.__\w+__ draws, and may hold samples back.*commit"
    ):
        sampler.state_dict()


@pytest.mark.parametrize("batch_sampler", [Sorting, Holding])
def test_samples_that_are_committed_are_known_whoever_draws(batch_sampler):
    """What it holds back comes again, and nothing else."""
    sampler = ResumableRandomSampler(range(100), batch_size=4)
    batches = iter(loaded(batch_sampler(sampler), 1))
    done = []
    for _ in range(5):
        batch = next(batches)
        sampler.commit(batch)
        done += batch.tolist()
    restarted = ResumableRandomSampler(range(100), batch_size=4)
    restarted.load_state_dict(sampler.state_dict())
    assert sorted([*done, *restarted]) == list(range(100))


def test_a_loop_that_draws_for_itself_is_asked_nothing():
    """Be it a generator, or with a comprehension in it: it knows what it has drawn."""
    sampler = ResumableRandomSampler(range(100), batch_size=4)

    def train():
        samples = iter(sampler)
        for _ in range(3):
            batch = [10 * sample for sample in islice(samples, 4)]
            yield batch, sampler.state_dict()["consumed"]

    assert [consumed for _, consumed in train()] == [4, 8, 12]
    assert len([sample for sample in sampler if sample % 2]) == 50


def test_a_thread_that_goes_on_with_a_pass_is_found_out():
    """Also one that somebody else has begun."""
    sampler = ResumableRandomSampler(range(1000), batch_size=4)
    samples = iter(sampler)
    next(samples)
    thread = threading.Thread(target=lambda: list(islice(samples, 500)))
    thread.start()
    thread.join()
    with pytest.warns(UserWarning, match="fetched before they are trained on"):
        sampler.state_dict()
