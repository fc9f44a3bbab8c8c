"""Random augmentation that is the same again after a resume."""

import hashlib
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

from resumable.samplers.arguments import integer, length
from resumable.samplers.epoch_index import EpochIndex
from resumable.samplers.state import LIMIT

_T = TypeVar("_T")


class SeededDataset(Dataset[_T], Generic[_T]):
    """Gives each `dataset[index]` random state that depends on seed, epoch and index alone.

    `random`, NumPy's legacy functions and torch's CPU generator are seeded around the call, and afterwards stand where
    they stood. So content is the same after a resume, with any number of workers and ranks. For a NumPy `Generator` ask
    `numpy_generator()` within `__getitem__`. Samplers of this package mark indices with the epoch when they are made
    for a `SeededDataset`; other samplers do not, and are refused.

    Costs some 100 microseconds a sample. CUDA's generators are left alone: augmentation there is not covered.

    Args:
        dataset: A map-style data set.
        seed: Seed of the augmentation, independent of the sampler's.

    Raises:
        TypeError: the data set has no length, or the seed is no integer.
        ValueError: the seed is out of range.
    """

    def __init__(self, dataset: Dataset[_T], seed: int) -> None:
        self.dataset = dataset
        self.seed = integer("seed", seed, low=-LIMIT, high=LIMIT)
        length("dataset", dataset)

    def __len__(self) -> int:
        """Return the number of samples."""
        return length("dataset", self.dataset)

    def __getitem__(self, index: int) -> _T:
        """Return a sample as its epoch has it.

        Raises:
            TypeError: the index carries no epoch.
        """
        if not isinstance(index, EpochIndex):
            raise TypeError(
                f"index={index!r} carries no epoch: make the sampler for the SeededDataset itself, or call "
                "at(index, epoch). torch's Subset and ConcatDataset drop the epoch: put them inside, as "
                "SeededDataset(Subset(…), seed)"
            )
        return self.at(int(index), index.epoch)

    def at(self, index: int, epoch: int) -> _T:
        """Return a sample as an epoch has it, whatever sampler or loader there is."""
        with _forked(_digest(self.seed, epoch, index)):
            return self.dataset[index]

    def __getitems__(self, indices: list[int]) -> list[_T]:
        """Return a batch's samples, each with random state of its own.

        A data set that fetches a batch at once is asked for one sample at a time, for each has its own random state.
        """
        return [self[index] for index in indices]

    def __getattr__(self, name: str) -> object:
        """Return what the data set itself has, as its classes or its columns."""
        if name == "dataset" or name.startswith("__"):
            raise AttributeError(name)  # in a copy that is being made, or as a protocol of Python's
        return getattr(self.dataset, name)


def is_seeded(dataset: object) -> bool:
    """Whether indices must carry their epoch: for a `SeededDataset`, also in a wrapper that keeps it as `dataset`."""
    seen: set[int] = set()
    while dataset is not None and id(dataset) not in seen:
        if isinstance(dataset, SeededDataset):
            return True
        seen.add(id(dataset))
        dataset = vars(dataset).get("dataset") if hasattr(dataset, "__dict__") else None
    return False


def numpy_generator() -> np.random.Generator:
    """Return a NumPy generator that depends on the present random state; within a `SeededDataset`, on the sample."""
    return np.random.default_rng(np.random.randint(0, 2**32, size=8, dtype=np.uint64))


def _digest(seed: int, epoch: int, index: int) -> bytes:
    return hashlib.blake2b(struct.pack("<qqq", seed, epoch, index), digest_size=48, person=b"augment/1").digest()


@contextmanager
def _forked(digest: bytes) -> Iterator[None]:
    """Seed every generator from a digest of 48 bytes, and bring all of them back."""
    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    try:
        random.seed(digest[:16])
        np.random.seed(np.frombuffer(digest[16:32], dtype="<u4"))
        torch.default_generator.manual_seed(struct.unpack("<Q", digest[32:40])[0])
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.random.set_rng_state(torch_state)
