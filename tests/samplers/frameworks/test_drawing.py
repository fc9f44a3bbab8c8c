"""Who draws from a sampler is found in torch's own frames; no object of the user's is asked anything."""

import pytest
from torch.utils.data import BatchSampler, DataLoader

from resumable.samplers import ResumableDataLoader, ResumableRandomSampler, ResumableSequentialSampler


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
