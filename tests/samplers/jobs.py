"""A training job reduced to what samplers see of it: ranks that read batches, stop, and go on elsewhere."""

from collections.abc import Sequence
from typing import Any

from resumable.samplers import ResumableDistributedSampler, ResumableSampler


def ranks_of(num_samples: int, num_replicas: int, **arguments: Any) -> list[ResumableDistributedSampler]:
    """One sampler for each rank of a job."""
    return [
        ResumableDistributedSampler(range(num_samples), num_replicas, rank, **arguments) for rank in range(num_replicas)
    ]


def epoch_of(sampler: ResumableSampler, epoch: int) -> list[int]:
    """The whole rest of an epoch."""
    sampler.set_epoch(epoch)
    return list(sampler)


def interleaved(shares: Sequence[Sequence[int]]) -> list[int]:
    """The ranks' samples in the order of the stream."""
    return [sample for row in zip(*shares, strict=True) for sample in row]


def draw(sampler: ResumableSampler, num_samples: int) -> list[int]:
    """Begin a pass and break it off after `num_samples` samples."""
    iterator = iter(sampler)
    return [next(iterator) for _ in range(num_samples)]
