"""Where a planted bug must show, told without the rig: the samplers are played through on plain lists.

The rig says at which step a job resumed. From there on a planted sampler is run against the right one: where the two deal
out other batches the verdict must be INVALID, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from tests.mutants.planted import Shape, ShardSampler

NUM_STEPS, EPOCH_LENGTH, NUM_RANKS = 40, 8, 2
SHAPE = Shape(num_samples=93, batch_size=6, world_size=NUM_RANKS, rank=0, seed=17, drop_last=False)
_MAX_EMPTY_PASSES = 3
"""In a row: a job that has seen these goes on so for ever."""

Batches = list[list[int]]


def shows_in_sampler(kind: type[ShardSampler], resumed: int, *, drop_last: bool = False) -> bool:
    """Whether a job with this sampler that resumes after so many steps trains on other batches than the right one."""
    if resumed == 0:
        return False  # nothing was loaded
    return any(
        _resumed(kind, replace(SHAPE, rank=rank, drop_last=drop_last), resumed)
        != _resumed(ShardSampler, replace(SHAPE, rank=rank, drop_last=drop_last), resumed)
        for rank in range(NUM_RANKS)
    )


def _resumed(kind: type[ShardSampler], shape: Shape, step: int) -> Batches:
    """What a rank trains on after rank 0 has saved after `step` steps and all have loaded it."""
    saver, sampler = kind(replace(shape, rank=0)), kind(shape)
    list(_trained(saver, step))
    sampler.load_state_dict(saver.state_dict())
    return list(_trained(sampler, NUM_STEPS - step))


def _trained(sampler: ShardSampler, num_steps: int) -> Iterator[list[int]]:
    """The batches of a training loop, each committed, from where the sampler stands."""
    epoch, num_left, num_empty = sampler.epoch, num_steps, 0
    while num_left and num_empty < _MAX_EMPTY_PASSES:
        sampler.set_epoch(epoch)
        samples = iter(sampler)
        num_before = num_left
        while num_left and (batch := list(islice(samples, sampler.shape.batch_size))):
            sampler.commit()
            num_left -= 1
            yield batch
        num_empty = num_empty + 1 if num_left == num_before else 0
        epoch += 1
