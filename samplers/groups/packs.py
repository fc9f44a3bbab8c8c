"""`packs/1`: which samples go together into sequences of a fixed length."""

from typing import Any, Generic, TypeVar

import numpy as np
from torch.utils.data import Dataset

from resumable.samplers.arguments import integer, length
from resumable.samplers.groups.groups import Cut, Groups
from resumable.samplers.groups.lengths import KnownLengths, Lengths
from resumable.samplers.orders import Samples

_LIMIT = 2**62
_T = TypeVar("_T")


class Packs(Groups):
    """The plan of packing: each pack is a list of samples that together fit into a sequence.

    The samples of a block of the stream are taken in their order, each into the first pack that has room for it.

    Args:
        lengths: Tokens of each sample, see `Lengths`.
        capacity: Tokens in a sequence.
        block_size: Samples of the stream that are packed at a time. Larger blocks leave less room over.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: a number is out of range, or a sample is longer than a sequence.
    """

    name = "packs/1"

    def __init__(self, lengths: Lengths, capacity: int, *, block_size: int = 1024) -> None:
        super().__init__(block_size=block_size, is_batch=False)
        self._capacity = integer("capacity", capacity, low=1, high=_LIMIT)
        self._lengths = KnownLengths(lengths, self._capacity)

    @property
    def parameters(self) -> dict[str, Any]:
        """Capacity and block."""
        return {"capacity": self._capacity, "block_size": self.block_size}

    def cut(self, samples: Samples, key: int) -> Cut:
        """Return the packs of a block's samples."""
        room = np.full(len(samples), self._capacity, dtype=np.int64)
        packs = np.empty(len(samples), dtype=np.int64)
        num_packs = 0
        for place, size in enumerate(self._lengths.of(samples).tolist()):
            # Behind the packs that were begun, all have room.
            first = int(np.argmax(room[: num_packs + 1] >= size))
            packs[place] = first
            room[first] -= size
            num_packs = max(num_packs, first + 1)
        order = np.argsort(packs, kind="stable")
        return Cut(samples=samples[order].astype(np.int64), sizes=np.bincount(packs, minlength=num_packs))

    def mark(self, samples: Samples) -> bytes:
        """Return the lengths of the samples."""
        return self._lengths.of(samples).astype("<i8").tobytes()


class PackedDataset(Dataset[list[_T]], Generic[_T]):
    """A data set whose samples are packs: the list of the samples in each, to be joined by the loader's `collate_fn`.

    Args:
        dataset: A map-style data set of what is packed.

    Raises:
        TypeError: the data set has no length.
    """

    def __init__(self, dataset: Dataset[_T]) -> None:
        self.dataset = dataset
        length("dataset", dataset)

    def __len__(self) -> int:
        """Return the number of samples, not of packs."""
        return length("dataset", self.dataset)

    def __getitem__(self, pack: list[int]) -> list[_T]:
        """Return the samples of a pack."""
        return [self.dataset[sample] for sample in pack]
