"""Those that are compared: each yields one rank's samples, or batches or packs of them, from a position on.

litData and Mosaic streaming are not among them: they shuffle the chunks of data sets that were written in their own formats,
and have no order without one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler

from resumable.samplers import (
    Blocks,
    Mixture,
    Packs,
    ResumableBatchSampler,
    ResumableDistributedSampler,
    TokenBatches,
)

BATCH_SIZE = 64
LENGTHS = np.random.RandomState(0).randint(1, 256, 10**6)
"""Tokens in a sample, 128 on average; longer data sets go through them again."""
CAPACITY = 2048

Unit = Literal["sample", "batch", "pack"]
SAMPLES_A_UNIT = {"sample": 1, "batch": BATCH_SIZE, "pack": CAPACITY // 128}
"""Of a pack about so many, as its samples have different lengths."""
Start = Callable[[int, int, int], Iterator[Any]]
"""From (number of samples, number of ranks, number of rank 0's samples to skip) to what follows."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to get at a rank's samples."""

    name: str
    unit: Unit
    start: Start
    max_num_samples: int
    """Beyond it memory or patience would not suffice on a common machine, or the order is not defined."""
    package: str = "torch"
    """What must be installed."""

    @property
    def available(self) -> bool:
        """Whether its package is installed."""
        return find_spec(self.package) is not None


class Sized(Dataset[int]):
    """A data set of any length that costs nothing."""

    def __init__(self, num_samples: int) -> None:
        self.num_samples = num_samples

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, index: int) -> int:
        return index


def _ours(order: str | Mixture | Blocks) -> Start:
    def start(num_samples: int, num_ranks: int, num_skipped: int) -> Iterator[int]:
        sampler = ResumableDistributedSampler(Sized(num_samples), num_ranks, 0, order=order)
        sampler.start_iter = num_skipped
        return iter(sampler)

    return start


def _our_batches(order: str) -> Start:
    def start(num_samples: int, num_ranks: int, num_skipped: int) -> Iterator[list[int]]:
        sampler = ResumableDistributedSampler(Sized(num_samples), num_ranks, 0, batch_size=BATCH_SIZE, order=order)
        sampler.start_iter = num_skipped // BATCH_SIZE
        return iter(ResumableBatchSampler(sampler))

    return start


def _our_mixture(num_samples: int, num_ranks: int, num_skipped: int) -> Iterator[int]:
    half = num_samples // 2
    return _ours(Mixture([half, num_samples - half], [0.7, 0.3]))(num_samples, num_ranks, num_skipped)


def _our_groups(make: Callable[[Any], Packs | TokenBatches]) -> Start:
    def start(num_samples: int, num_ranks: int, num_skipped: int) -> Iterator[Any]:
        groups = make(np.resize(LENGTHS, num_samples))
        sampler = ResumableDistributedSampler(Sized(num_samples), num_ranks, 0, order="feistel", groups=groups)
        state = sampler.state_dict()
        # A group begins at each block: as after a restart, and not by counting groups from the epoch's start.
        block = groups.block_size
        sampler.load_state_dict(state | {"consumed": num_skipped * num_ranks // block * block})
        return iter(sampler)

    return start


def _torchs(num_samples: int, num_ranks: int, num_skipped: int) -> Iterator[int]:
    return islice(iter(DistributedSampler(Sized(num_samples), num_ranks, 0)), num_skipped, None)


def _torchs_batches(num_samples: int, num_ranks: int, num_skipped: int) -> Iterator[list[int]]:
    sampler: DistributedSampler[int] = DistributedSampler(Sized(num_samples), num_ranks, 0)
    return islice(iter(BatchSampler(sampler, BATCH_SIZE, drop_last=False)), num_skipped // BATCH_SIZE, None)


def _torchdatas(num_samples: int, num_ranks: int, num_skipped: int) -> Iterator[int]:
    from torchdata.stateful_dataloader.sampler import StatefulDistributedSampler  # noqa: PLC0415 - may be absent

    sampler = StatefulDistributedSampler(Sized(num_samples), num_ranks, 0)
    sampler.load_state_dict({"yielded": num_skipped})
    samples: Iterator[int] = iter(sampler)
    return samples


def _accelerates(num_samples: int, num_ranks: int, num_skipped: int) -> Iterator[list[int]]:
    from accelerate import skip_first_batches  # noqa: PLC0415 - may be absent

    data = Sized(num_samples)
    loader = DataLoader(data, BATCH_SIZE, sampler=DistributedSampler(data, num_ranks, 0), collate_fn=list)
    return iter(skip_first_batches(loader, num_skipped // BATCH_SIZE).batch_sampler)


def _grains(num_samples: int, num_ranks: int, num_skipped: int) -> Iterator[int]:
    from grain.experimental import index_shuffle  # noqa: PLC0415 - may be absent

    positions = range(num_skipped * num_ranks, num_samples, num_ranks)
    return (index_shuffle(position, max_index=num_samples - 1, seed=0, rounds=4) for position in positions)


def _grains_mixture(num_samples: int, num_ranks: int, num_skipped: int) -> Iterator[int]:
    from grain.python import MapDataset  # noqa: PLC0415 - may be absent

    half = num_samples // 2
    members = [MapDataset.range(size).shuffle(seed=0).repeat() for size in (half, num_samples - half)]
    mixed = MapDataset.mix(members, weights=[0.7, 0.3])
    return (mixed[position] for position in range(num_skipped * num_ranks, num_samples, num_ranks))


def _grains_packs(num_samples: int, num_ranks: int, num_skipped: int) -> Iterator[Any]:
    from grain.experimental import FirstFitPackIterDataset  # noqa: PLC0415 - may be absent
    from grain.python import MapDataset  # noqa: PLC0415

    # It packs tokens, of which one array serves for all samples.
    tokens = np.zeros(256, dtype=np.int32)
    share = MapDataset.range(num_samples).shuffle(seed=0)[num_skipped * num_ranks :: num_ranks]
    samples = share.map(lambda sample: {"tokens": tokens[: LENGTHS[sample % len(LENGTHS)]]}).to_iter_dataset()
    return iter(FirstFitPackIterDataset(samples, length_struct={"tokens": CAPACITY}, num_packing_bins=64))


CONTENDERS = (
    Contender(name="ours, feistel/2", unit="sample", start=_ours("feistel"), max_num_samples=2**62 - 1),
    Contender(name="ours, randperm/1", unit="sample", start=_ours("randperm"), max_num_samples=10**8),
    Contender(name="torch DistributedSampler", unit="sample", start=_torchs, max_num_samples=10**8),
    Contender(
        name="torchdata StatefulDistributedSampler",
        unit="sample",
        start=_torchdatas,
        max_num_samples=10**7,
        package="torchdata",
    ),
    Contender(name="grain index_shuffle", unit="sample", start=_grains, max_num_samples=2**32 - 1, package="grain"),
    Contender(name="ours, Mixture", unit="sample", start=_our_mixture, max_num_samples=2**61),
    Contender(name="grain mix", unit="sample", start=_grains_mixture, max_num_samples=2**32 - 1, package="grain"),
    Contender(name="ours, Blocks", unit="sample", start=_ours(Blocks(1024, window=8)), max_num_samples=2**61),
    Contender(
        name="ours, TokenBatches",
        unit="pack",
        start=_our_groups(lambda lengths: TokenBatches(lengths, CAPACITY)),
        max_num_samples=10**7,
    ),
    Contender(
        name="ours, Packs",
        unit="pack",
        start=_our_groups(lambda lengths: Packs(lengths, CAPACITY)),
        max_num_samples=10**7,
    ),
    Contender(name="grain FirstFitPack", unit="pack", start=_grains_packs, max_num_samples=10**7, package="grain"),
    Contender(name="ours, feistel/2", unit="batch", start=_our_batches("feistel"), max_num_samples=2**62 - 1),
    Contender(name="ours, randperm/1", unit="batch", start=_our_batches("randperm"), max_num_samples=10**8),
    Contender(name="torch BatchSampler", unit="batch", start=_torchs_batches, max_num_samples=10**8),
    Contender(
        name="accelerate skip_first_batches",
        unit="batch",
        start=_accelerates,
        max_num_samples=10**7,
        package="accelerate",
    ),
)


def warm_up() -> None:
    """Load what would else be loaded within the first measurement."""
    torch.randperm(10, generator=torch.Generator(), dtype=torch.int32)
    for contender in CONTENDERS:
        if contender.available:
            next(contender.start(1000, 2, 64))
