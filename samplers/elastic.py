"""The sampler that torch's elastic examples use, with the position that they mean."""

from typing import Any

from torch.utils.data import Dataset

from resumable.samplers.distributed import ResumableDistributedSampler
from resumable.samplers.orders import OrderLike
from resumable.samplers.registry import SAMPLER_REGISTRY
from resumable.samplers.sampler import progress_of


@SAMPLER_REGISTRY.register
class ResumableElasticSampler(ResumableDistributedSampler):
    """Takes up an epoch behind its first samples; resumable stand-in for torch's `ElasticDistributedSampler`.

    That one, of `torch.distributed.elastic.utils.data`, leaves out the *indices* below `start_index` and shuffles the others
    again: after a restart samples come once more and others never, and in each later epoch the same ones are missing. Here
    `start_index` is how many samples all ranks together have trained on in the epoch, `batches_done * batch_size *
    world_size`: it goes on exactly, on any number of ranks, and the next epoch is whole. From 0 the order is torch's.

    With `state_dict` nobody needs it: a state holds the position, and the epoch.

    Args:
        dataset: A map-style data set; only its length is used.
        num_replicas: Number of ranks; that of the default process group if None.
        rank: This rank; that in the default process group if None.
        start_index: Samples of the epoch that comes next that were trained on, by all ranks together, from 0 to its length.
        seed: Seed of the shuffles, the same on all ranks; torch's class has 0.
        batch_size: Samples in a batch of this rank's loader; the unit of `start_iter` and `commit`.
        order: Order of an epoch: its name, or an order, see `resumable.samplers.orders`.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or no such order exists.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        num_replicas: int | None = None,
        rank: int | None = None,
        start_index: int = 0,
        *,
        seed: int = 0,
        batch_size: int = 1,
        order: OrderLike = "randperm",
    ) -> None:
        super().__init__(dataset, num_replicas, rank, seed=seed, batch_size=batch_size, order=order)
        progress_of(self).skip_to(start_index)
