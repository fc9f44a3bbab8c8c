"""Augmentation that depends on seed, epoch and index, and on nothing else."""

import pickle
import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler, Subset

from resumable.samplers import (
    PackedDataset,
    Packs,
    ResumableDataLoader,
    ResumableDistributedSampler,
    ResumableRandomSampler,
    ResumableSequentialSampler,
    ResumableSubsetSampler,
    SeededDataset,
)
from resumable.samplers.epoch_index import EpochIndex
from resumable.samplers.seeded import numpy_generator

LOADERS = [{"num_workers": 0}, {"num_workers": 2}, {"num_workers": 2, "persistent_workers": True}]


class Augmented(Dataset):
    """Sample `i` is `i`, with a number from each source of randomness."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        noise = [random.random(), np.random.rand(), numpy_generator().random(), torch.rand(()).item()]
        return torch.tensor([float(index), *noise], dtype=torch.float64)


def loader_of(options, *, num_replicas=1, rank=0, batch_size=4):
    data = SeededDataset(Augmented(), seed=5)
    sampler = ResumableDistributedSampler(data, num_replicas, rank, seed=1, batch_size=batch_size)
    return ResumableDataLoader(data, sampler=sampler, **options)


def epoch_of(loader, epoch):
    loader.set_epoch(epoch)
    return [batch.tolist() for batch in loader]


def by_index(batches):
    return sorted(sample for batch in batches for sample in batch)


@pytest.mark.parametrize("options", LOADERS, ids=str)
def test_content_is_the_same_after_a_resume(options):
    """A batch that comes after the resume has the augmentation that it would have had."""
    reference = [epoch_of(loader_of({"num_workers": 0}), epoch) for epoch in range(3)]
    stopped, resumed = loader_of(options), loader_of(options)
    assert reference[0] == epoch_of(stopped, 0)
    stopped.set_epoch(1)
    iterator = iter(stopped)
    head = [next(iterator).tolist() for _ in range(2)]
    resumed.load_state_dict(stopped.state_dict())
    assert reference[1:] == [head + epoch_of(resumed, 1), epoch_of(resumed, 2)]


def test_content_does_not_depend_on_the_ranks():
    """Three ranks see what one rank sees."""
    alone = epoch_of(loader_of({}), 1)
    together = [epoch_of(loader_of({}, num_replicas=3, rank=rank, batch_size=2), 1) for rank in range(3)]
    assert by_index(alone) == by_index([batch for batches in together for batch in batches])


def test_epochs_indices_and_seeds_differ_in_every_source():
    """No two of them share a number."""
    samples = [
        SeededDataset(Augmented(), seed).at(index, epoch) for seed in (0, 1) for epoch in (0, 1) for index in (0, 1)
    ]
    noise = torch.stack(samples)[:, 1:].flatten().tolist()
    assert len(noise) == len(set(noise))


def test_the_callers_random_state_is_untouched():
    """A sample takes nothing from the generators of the process, also when it fails."""
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = Augmented()[0].tolist()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    SeededDataset(Augmented(), 3).at(7, 2)
    with pytest.raises(ZeroDivisionError):
        SeededDataset(Failing(), 3).at(7, 2)
    assert expected == Augmented()[0].tolist()


class Failing(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, index):
        random.random()
        return 1 // 0


def test_an_index_without_an_epoch_is_refused():
    """Another sampler would give the same augmentation in every epoch."""
    data = SeededDataset(Augmented(), 0)
    with pytest.raises(TypeError, match="carries no epoch"):
        next(iter(DataLoader(data, sampler=RandomSampler(data))))


def test_a_sampler_that_never_saw_the_data_set_is_told():
    """`mark_epochs()` for a plain loader, nothing to do for ours."""
    data = SeededDataset(Augmented(), 0)
    plain = ResumableSubsetSampler([3, 5])
    plain.mark_epochs()
    expected = [batch.tolist() for batch in DataLoader(data, sampler=plain)]
    assert expected == [batch.tolist() for batch in ResumableDataLoader(data, sampler=ResumableSubsetSampler([3, 5]))]


def test_a_marked_index_is_a_number_like_any_other():
    """It survives the way to a worker, and indexes lists."""
    index = EpochIndex(3, epoch=7)
    copied = pickle.loads(pickle.dumps(index))
    assert (copied, copied.epoch, "abcd"[copied]) == (3, 7, "d")


@pytest.mark.parametrize("sampler_type", [ResumableRandomSampler, ResumableSequentialSampler])
def test_a_sampler_made_for_the_data_set_marks_its_indices(sampler_type):
    """Each index carries the epoch of the pass."""
    sampler = sampler_type(SeededDataset(Augmented(), 0))
    sampler.set_epoch(6)
    assert {6} == {index.epoch for index in sampler}


def test_a_sampler_over_other_data_yields_plain_ints():
    """Marks cost time and are made only for who asks."""
    assert {int} == {type(index) for index in ResumableRandomSampler(range(5))}


@pytest.mark.parametrize(
    ("arguments", "error"), [((iter([]), 0), TypeError), (([1], 0.5), TypeError), (([1], 2**62), ValueError)]
)
def test_a_bad_argument_is_refused(arguments, error):
    """As everywhere, at construction."""
    with pytest.raises(error):
        SeededDataset(*arguments)


class Columns(Augmented):
    """A data set that knows more than its samples, and fetches batches at once."""

    classes = ("cat", "dog")

    def __getitems__(self, indices):
        raise AssertionError("one random state for all of them")


def test_a_batch_that_is_fetched_at_once_has_the_same_augmentation():
    """torch asks a data set that has `__getitems__` for whole batches; each sample keeps its own random state."""
    data = SeededDataset(Columns(), seed=5)
    indices = [EpochIndex(index, 3) for index in (4, 7)]
    assert [data.at(4, 3).tolist(), data.at(7, 3).tolist()] == [
        sample.tolist() for sample in data.__getitems__(indices)
    ]
    assert by_index(epoch_of(loader_of({}), 1)) == sorted(data.at(index, 1).tolist() for index in range(24))


def test_what_the_data_set_has_can_be_asked_for_through_it():
    """Its classes, for example; and what neither has is missing, in copies too."""
    data = pickle.loads(pickle.dumps(SeededDataset(Columns(), seed=5)))
    assert data.classes == ("cat", "dog")
    with pytest.raises(AttributeError, match="colour"):
        _ = data.colour


def test_a_subset_is_augmented_inside_and_refused_outside():
    """torch's Subset replaces the index, and with it the epoch: the message shows how it works."""
    inside = SeededDataset(Subset(Augmented(), [3, 1]), seed=5)
    assert len(list(ResumableDataLoader(inside, sampler=ResumableRandomSampler(inside)))) == 2
    outside = Subset(SeededDataset(Augmented(), seed=5), [3, 1])
    with pytest.raises(TypeError, match=r"SeededDataset\(Subset"):
        next(iter(ResumableDataLoader(outside, sampler=ResumableRandomSampler(outside))))


def test_packs_of_seeded_samples_are_augmented_by_their_epoch():
    """A wrapper that hands the index on keeps it."""
    data = PackedDataset(SeededDataset(Augmented(), seed=5))
    sampler = ResumableRandomSampler(data, groups=Packs([1] * 24, 4))
    sampler.set_epoch(2)
    [pack, *_] = [*map(list, sampler)]
    seeded = SeededDataset(Augmented(), seed=5)
    assert [seeded.at(sample, 2).tolist() for sample in pack] == [sample.tolist() for sample in data[pack]]
