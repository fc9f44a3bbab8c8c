"""Samplers that do not read every sample once: a subset, and weighted draws."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from resumable.samplers.arguments import DropLast, integer
from resumable.samplers.distributed import unless_sequential
from resumable.samplers.orders import ChosenOrder, OrderLike, WeightedOrder, order_of
from resumable.samplers.registry import SAMPLER_REGISTRY
from resumable.samplers.sampler import ResumableSampler
from resumable.samplers.state import LIMIT


@SAMPLER_REGISTRY.register
class ResumableSubsetSampler(ResumableSampler):
    """Reads the given samples only, each once an epoch; resumable stand-in for `torch.utils.data.SubsetRandomSampler`.

    A state asks for the very same indices: a digest of them is part of its fingerprint.

    Args:
        indices: The samples to read, as a sequence, array or CPU tensor of integers. It is copied.
        seed: Seed of the shuffles, the same on all ranks.
        batch_size: Samples in a batch of this rank's loader; the unit of `start_iter` and `commit`.
        shuffle: Whether the order changes from epoch to epoch; False reads the indices as they are given.
        num_replicas: Number of ranks.
        rank: This rank.
        drop_last: What happens to a last row that does not suffice for all ranks, see `ResumableDistributedSampler`.
        order: Order when `shuffle` is on: its name, or an order, see `resumable.samplers.orders`.
        dataset_fingerprint: The caller's own mark of the data's content; a state with a different one is refused.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or no such order exists.
    """

    def __init__(
        self,
        indices: Sequence[int],
        seed: int = 0,
        batch_size: int = 1,
        *,
        shuffle: bool = True,
        num_replicas: int = 1,
        rank: int = 0,
        drop_last: DropLast = False,
        order: OrderLike = "randperm",
        dataset_fingerprint: str | None = None,
    ) -> None:
        chosen = ChosenOrder.of(indices, order_of(unless_sequential(order, shuffle)))
        super().__init__(
            chosen,
            num_samples=chosen.samples.size,
            seed=seed,
            shuffle=shuffle,
            drop_last=drop_last,
            num_replicas=num_replicas,
            rank=rank,
            batch_size=batch_size,
            dataset_fingerprint=_with_digest(dataset_fingerprint, chosen.samples),
        )


@SAMPLER_REGISTRY.register
class ResumableWeightedSampler(ResumableSampler):
    """Draws samples with replacement by weight; resumable stand-in for `torch.utils.data.WeightedRandomSampler`.

    The draws of an epoch are one stream that is dealt out over the ranks. They are not torch's draws, which cannot be
    found again without drawing all that came before. A state asks for the very same weights: a digest of them is part
    of its fingerprint.

    Args:
        weights: One weight for each sample of the data set, 0 or more, as a sequence, array or CPU tensor.
        num_samples: Number of draws in an epoch, of all ranks together; as many as there are weights if None.
        seed: Seed of the draws, the same on all ranks.
        batch_size: Samples in a batch of this rank's loader; the unit of `start_iter` and `commit`.
        num_replicas: Number of ranks.
        rank: This rank.
        drop_last: What happens to a last row that does not suffice for all ranks, see `ResumableDistributedSampler`.
        dataset_fingerprint: The caller's own mark of the data's content; a state with a different one is refused.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or the weights are not.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int | None = None,
        seed: int = 0,
        batch_size: int = 1,
        *,
        num_replicas: int = 1,
        rank: int = 0,
        drop_last: DropLast = False,
        dataset_fingerprint: str | None = None,
    ) -> None:
        weighted = WeightedOrder.of(weights)
        if num_samples is not None:
            num_samples = integer("num_samples", num_samples, low=0, high=LIMIT)
        super().__init__(
            weighted,
            num_samples=weighted.cumulative.size if num_samples is None else num_samples,
            seed=seed,
            drop_last=drop_last,
            num_replicas=num_replicas,
            rank=rank,
            batch_size=batch_size,
            dataset_fingerprint=_with_digest(dataset_fingerprint, weighted.cumulative),
        )


def _with_digest(fingerprint: str | None, values: NDArray[np.generic]) -> str:
    digest = hashlib.blake2b(values.astype(values.dtype.newbyteorder("<")).tobytes(), digest_size=8).hexdigest()
    return digest if fingerprint is None else f"{fingerprint}:{digest}"
