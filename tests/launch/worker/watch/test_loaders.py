from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, Subset, dataloader

from resumable.launch.evidence.rank_records import Batch, EpochBegin, EpochEnd, Loader
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.watch.loaders import LoaderWatch, as_indices
from tests.launch.worker.conftest import Listener


class Squares(Dataset[int]):
    """The square of each index, so that what was delivered shows which index it came from."""

    def __len__(self) -> int:
        return 11

    def __getitem__(self, index: int) -> int:
        return index * index


class Stream(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(5))


@pytest.fixture
def watched(listener: Listener, patches: Patches) -> Listener:
    """Torch's loaders, watched during one test."""
    LoaderWatch(listener).install(patches)
    return listener


def delivered(listener: Listener) -> list[list[int]]:
    return [record.indices for record in listener.of(Batch)]


def test_samples_of_a_part_are_told_by_their_place_in_the_whole(watched: Listener) -> None:
    """A job may go on with what is left of an epoch; the part may be one of a part."""
    rest = Subset(Subset(Squares(), range(1, 11)), torch.tensor([7, 3, 0, 5]))
    contents = [batch.tolist() for batch in DataLoader(rest, batch_size=3)]
    assert delivered(watched) == [[8, 4, 1], [6]]
    assert [[index * index for index in indices] for indices in delivered(watched)] == contents


class Named(Dataset[str]):
    indices = ("x",)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        return index


class Wild(Subset[int]):
    """Its samples are not those under its indices."""

    def __getitems__(self, indices: list[int]) -> list[int]:
        return indices


@pytest.mark.parametrize(
    "part", [Named(), Wild(Named(), [])], ids=["has indices by chance", "has none for its samples"]
)
def test_indices_that_fit_no_whole_stay(watched: Listener, part: Dataset[int]) -> None:
    """Nothing breaks the loop, and nothing is made up."""
    list(DataLoader(part, batch_size=2, sampler=[0, 1]))
    assert delivered(watched) == [[0, 1]]


@pytest.mark.parametrize("once", [iter, lambda keys: (key for key in keys), lambda keys: map(int, keys)])
def test_keys_that_can_be_gone_through_only_once_reach_the_data_set(
    watched: Listener, once: Callable[..., object]
) -> None:
    """A batch sampler may yield generators."""
    loader = DataLoader(Squares(), batch_sampler=map(once, ([4, 1], [3])))
    assert [batch.tolist() for batch in loader] == [[16, 1], [9]]
    assert delivered(watched) == [[4, 1], [3]]


class Secretive:
    """Goes through its samples, and raises whatever else it is asked."""

    def __iter__(self) -> Iterator[int]:
        return iter([4, 1])

    def __len__(self) -> int:
        raise RuntimeError

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


class Unspeakable:
    """A key of no number and no name."""

    __index__ = property(lambda _: 1 // 0)

    def __repr__(self) -> str:
        raise RuntimeError


class ByUnspeakable(Squares):
    def __getitem__(self, _index: object) -> int:
        return 16


def test_a_loader_whose_parts_say_nothing_of_themselves_is_watched(watched: Listener) -> None:
    """Its samples are known all the same, or at least that there were some."""
    assert [batch.tolist() for batch in DataLoader(Squares(), sampler=Secretive())] == [[16], [1]]
    assert [batch.tolist() for batch in DataLoader(ByUnspeakable(), sampler=[Unspeakable()])] == [[16]]
    assert delivered(watched) == [[4], [1], ["Unspeakable"]]


@pytest.mark.parametrize("options", [{}, {"num_workers": 2}, {"num_workers": 2, "persistent_workers": True}], ids=str)
def test_the_recorded_indices_are_those_of_the_delivered_samples(watched: Listener, options: dict[str, bool]) -> None:
    """Batch by batch, in every pass, with workers that read ahead too."""
    loader = DataLoader(Squares(), batch_size=3, shuffle=True, **options)
    contents = [batch.tolist() for _ in range(3) for batch in loader]
    assert [[index * index for index in indices] for indices in delivered(watched)] == contents
    assert [(record.epoch, record.batch) for record in watched.of(Batch)] == [
        (e, b) for e in range(3) for b in range(4)
    ]
    assert [(record.epoch, record.num_batches) for record in watched.of(EpochEnd)] == [(0, 4), (1, 4), (2, 4)]


def test_batches_that_workers_only_read_ahead_are_not_delivered(watched: Listener) -> None:
    """A loop that stops after two batches received two, however many the workers have fetched."""
    loader = DataLoader(Squares(), batch_size=1, num_workers=2, prefetch_factor=4)
    list(islice(iter(loader), 2))
    assert delivered(watched) == [[0], [1]]
    assert watched.of(EpochEnd) == []
    assert [(record.num_workers, record.prefetch_factor) for record in watched.of(Loader)] == [(2, 4)]


def test_batches_out_of_order_keep_their_own_indices(watched: Listener) -> None:
    """With `in_order=False` data comes back as it is ready; the indices go with it."""
    loader = DataLoader(Squares(), batch_size=2, num_workers=2, in_order=False)
    contents = [batch.tolist() for batch in loader]
    assert [[index * index for index in indices] for indices in delivered(watched)] == contents


def test_an_iterable_data_set_is_known_by_its_content(watched: Listener) -> None:
    """Without indices each batch has a digest: equal content, equal digest."""
    for _ in range(2):
        list(DataLoader(Stream(), batch_size=2))
    digests = [record.digest for record in watched.of(Batch)]
    assert delivered(watched) == [None] * 6
    assert digests[:3] == digests[3:]
    assert len(set(digests)) == 3


def test_batches_may_be_known_by_a_digest_of_their_samples(listener: Listener, patches: Patches) -> None:
    """Equal for the same samples in the same order, whatever their content, and as long for any number of them."""
    LoaderWatch(listener, keep="batches").install(patches)
    orders = [[3, 4, 5, 6], [3, 4, 6, 5], [3, 4, 5], [3, 4, 5, 6]]
    list(DataLoader(Squares(), batch_sampler=orders[:3]))
    list(DataLoader(Stream(), batch_size=5))
    list(DataLoader(Squares(), batch_sampler=orders[3:], collate_fn=str))
    *batches, content, again = listener.of(Batch)
    digests = [batch.digest for batch in [*batches, content, again]]
    assert [batch.indices for batch in listener.of(Batch)] == [None] * 5
    assert (digests[0], len(set(digests)), {len(one) for one in digests}) == (digests[-1], 4, {32})


def test_loaders_that_look_alike_share_a_number(watched: Listener) -> None:
    """A script that builds a new loader for every epoch goes on counting its passes."""
    for _ in range(2):
        list(DataLoader(Squares(), batch_size=4))
    list(DataLoader(Squares(), batch_size=5))
    assert [(record.loader, record.epoch) for record in watched.of(EpochBegin)] == [(0, 0), (0, 1), (1, 0)]
    assert [(record.loader, record.batch_size, record.num_samples) for record in watched.of(Loader)] == [
        (0, 4, 11),
        (1, 5, 11),
    ]


class Rest(Sampler[int]):
    """Goes on in its first pass, and is as long as what is left of it."""

    start = 4

    def __len__(self) -> int:
        return 8 - self.start

    def __iter__(self) -> Iterator[int]:
        start, self.start = self.start, 0
        return iter(range(start, 8))


def test_a_loader_that_has_more_batches_in_its_next_pass_keeps_its_number(watched: Listener) -> None:
    """What it looks like then is recorded; a new one that looks like that is of this number, too."""
    loader = DataLoader(range(8), batch_size=2, sampler=Rest())
    for one in (loader, DataLoader(range(8)), loader, DataLoader(range(8), batch_size=2, sampler=Rest())):
        list(one)
    begun = [(record.loader, record.epoch) for record in watched.records if isinstance(record, EpochBegin)]
    looks = [(record.loader, record.num_batches) for record in watched.records if isinstance(record, Loader)]
    assert (begun, looks) == ([(0, 0), (1, 0), (0, 1), (0, 2)], [(0, 2), (1, 8), (0, 4)])


def test_a_loader_of_one_batch_that_has_more_in_its_next_pass_has_another_number_then(watched: Listener) -> None:
    """Its one batch may have been the whole data set."""
    loader = DataLoader(range(8), batch_size=4, sampler=Rest())
    for _ in range(2):
        list(loader)
    assert [(record.loader, record.epoch) for record in watched.of(EpochBegin)] == [(0, 0), (1, 0)]


def test_asking_for_an_iterator_alone_is_no_pass(watched: Listener) -> None:
    """A pass begins with the first batch that is asked for."""
    iter(DataLoader(Squares(), batch_size=4))
    assert watched.records == []


def test_a_watched_loader_can_still_go(watched: Listener) -> None:
    """Persistent workers end with their loader: the watch holds neither."""
    loader = DataLoader(Squares(), batch_size=4, num_workers=1, persistent_workers=True)
    list(loader)
    gone = weakref.ref(loader)
    del loader
    gc.collect()
    assert gone() is None


def test_batches_received_without_autograd_are_marked(watched: Listener) -> None:
    """An evaluation loop under `no_grad` can be told from training."""
    with torch.no_grad():
        list(DataLoader(Squares(), batch_size=11))
    assert [record.grad_enabled for record in watched.of(Batch)] == [False]


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ([1, 2], [1, 2]),
        (5, [5]),
        ([True, np.int64(3), torch.tensor(4)], [1, 3, 4]),
        (torch.tensor([7, 8]), [7, 8]),
        (np.array([7, 8]), [7, 8]),
        ("key", ["'key'"]),
        ([("a", 1), "b"], ["('a', 1)", "'b'"]),
        ([None, None], None),
        (None, None),
        ([], []),
    ],
    ids=repr,
)
def test_any_kind_of_key_becomes_an_index(index: object, expected: object) -> None:
    """Integers of any library become plain ones; other keys their `repr`; a data set without indices has none."""
    assert as_indices(index) == expected


class Outside:
    """A loader of another library: it has what torch's iterators ask of a loader, and draws its samples itself."""

    def __init__(self) -> None:
        self._loader = DataLoader(Stream(), batch_size=None)
        self._index_sampler = range(100)

    def __getattr__(self, name: str) -> object:
        if name in ("batch_size", "batch_sampler", "sampler"):
            raise AttributeError(name)
        return getattr(self._loader, name)


def test_a_loader_of_another_library_may_have_little_of_one(watched: Listener) -> None:
    """The loop goes on, and what its iterator counts is taken for no samples."""
    iterator = dataloader._SingleProcessDataLoaderIter(Outside())
    assert list(range(5)) == [int(one) for one in iterator]
    batches = watched.of(Batch)
    assert (5, {None}) == (len({batch.digest for batch in batches}), {batch.indices for batch in batches})
