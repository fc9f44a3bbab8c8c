"""torchdata's own loader, unmodified, around our samplers."""

from itertools import islice

import pytest
import torch
from torch.utils.data import Dataset
from torchdata import stateful_dataloader as stateful

from resumable.samplers import ResumableBatchSampler, ResumableDistributedSampler, ResumableWeightedSampler

# torchdata itself calls what this torch has deprecated.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")]

NUM_EPOCHS = 4
LOADERS = [
    {"num_workers": 0},
    {"num_workers": 2},
    {"num_workers": 2, "persistent_workers": True},
]
STOPS = {"first batch": 1, "middle": 3, "last batch": 6, "end": 7}
"""Number of `next()` calls of an epoch of six batches; the seventh ends it."""


class Numbers(Dataset):
    def __len__(self):
        return 46

    def __getitem__(self, index):
        return index


def sampler_of(kind):
    arguments = {"seed": 3, "batch_size": 4, "num_replicas": 2, "rank": 1}
    return {
        "distributed": lambda: ResumableDistributedSampler(Numbers(), **arguments),
        "feistel": lambda: ResumableDistributedSampler(Numbers(), **arguments, order="feistel"),
        "weighted": lambda: ResumableWeightedSampler([1.0, 3.0] * 23, **arguments),
    }[kind]()


def loader_of(sampler, options):
    return stateful.StatefulDataLoader(Numbers(), batch_size=4, sampler=sampler, **options)


def batch_loader_of(sampler, options):
    return stateful.StatefulDataLoader(Numbers(), batch_sampler=ResumableBatchSampler(sampler), **options)


def epoch_of(loader, sampler, epoch, *, names_epochs):
    for named in [epoch] * names_epochs:
        sampler.set_epoch(named)
    return [batch.tolist() for batch in loader]


def stopped_in(epoch, num_calls, loader, sampler, *, names_epochs):
    """Run to the stop, and give what was read of its epoch, with the loader's state."""
    for number in range(epoch):
        epoch_of(loader, sampler, number, names_epochs=names_epochs)
    for named in [epoch] * names_epochs:
        sampler.set_epoch(named)
    read = [batch.tolist() for batch in islice(iter(loader), num_calls)]
    return read, loader.state_dict()


@pytest.mark.parametrize("make_loader", [loader_of, batch_loader_of])
@pytest.mark.parametrize("names_epochs", [True, False], ids=["set_epoch", "no set_epoch"])
@pytest.mark.parametrize("options", LOADERS, ids=str)
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_job_goes_on_exactly(make_loader, names_epochs, options, stop, epoch):
    """Four epochs with a stop equal four without, wherever it is and whether or not the loop names its epochs."""
    assert_resumed("distributed", make_loader, names_epochs, options, stop, epoch)


@pytest.mark.parametrize("options", LOADERS[:2], ids=str)
@pytest.mark.parametrize("kind", ["feistel", "weighted"])
def test_a_job_goes_on_exactly_in_any_order(kind, options):
    """The loader's bookkeeping does not depend on the order."""
    assert_resumed(kind, loader_of, True, options, "middle", 1)


def assert_resumed(kind, make_loader, names_epochs, options, stop, epoch):
    reference_sampler = sampler_of(kind)
    reference_loader = loader_of(reference_sampler, {"num_workers": 0})
    reference = [
        epoch_of(reference_loader, reference_sampler, number, names_epochs=names_epochs) for number in range(NUM_EPOCHS)
    ]
    sampler = sampler_of(kind)
    head, state = stopped_in(epoch, STOPS[stop], make_loader(sampler, options), sampler, names_epochs=names_epochs)
    sampler = sampler_of(kind)
    loader = make_loader(sampler, options)
    loader.load_state_dict(state)
    # Where the epoch was over, the loop goes on with the next one.
    next_epoch = epoch + (len(head) == len(reference[epoch]))
    tail = [epoch_of(loader, sampler, number, names_epochs=names_epochs) for number in range(next_epoch, NUM_EPOCHS)]
    joined = [head, *tail] if next_epoch > epoch else [head + tail[0], *tail[1:]]
    assert reference[epoch:] == joined


@pytest.mark.parametrize("options", LOADERS, ids=str)
@pytest.mark.parametrize("stop", ["last batch", "end"])
def test_a_loop_that_enters_the_finished_epoch_again_finds_nothing_of_it(options, stop):
    """A checkpoint behind the last batch names the epoch it was written in; the epochs after it are whole."""
    sampler = sampler_of("distributed")
    reference = [epoch_of(loader_of(sampler, {}), sampler, number, names_epochs=True) for number in range(3)]
    head, state = stopped_in(0, STOPS[stop], loader_of(sampler, options), sampler, names_epochs=True)
    sampler = sampler_of("distributed")
    loader = loader_of(sampler, options)
    loader.load_state_dict(state)
    assert [reference[0], []] == [head, epoch_of(loader, sampler, 0, names_epochs=True)]
    assert reference[1:] == [epoch_of(loader, sampler, number, names_epochs=True) for number in (1, 2)]


@pytest.mark.parametrize("options", LOADERS, ids=str)
@pytest.mark.parametrize("num_calls", [3, 5, 6])
def test_a_loader_that_drops_its_last_batch_goes_on_exactly(options, num_calls):
    """In mid-epoch, after the last full batch and after the end: what is dropped is never still to come."""
    sampler = sampler_of("distributed")
    dropping = {"drop_last": True}
    reference = [epoch_of(loader_of(sampler, dropping), sampler, number, names_epochs=True) for number in range(3)]
    sampler = sampler_of("distributed")
    head, state = stopped_in(0, num_calls, loader_of(sampler, options | dropping), sampler, names_epochs=True)
    sampler = sampler_of("distributed")
    loader = loader_of(sampler, options | dropping)
    loader.load_state_dict(state)
    tail = [epoch_of(loader, sampler, number, names_epochs=True) for number in range(3)]
    assert reference == [head + tail[0], *tail[1:]]


def test_the_loaders_state_is_accepted_by_safe_torch_checkpoints(tmp_path):
    """It is made of plain data, as ours is."""
    sampler = sampler_of("distributed")
    _, state = stopped_in(0, 2, loader_of(sampler, {}), sampler, names_epochs=True)
    torch.save(state, tmp_path / "state.pt")
    assert state == torch.load(tmp_path / "state.pt", weights_only=True)
