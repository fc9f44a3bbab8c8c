"""Which samples will come, on which rank, without training."""

from dataclasses import replace
from itertools import chain
from typing import Any

from resumable.samplers.arguments import integer
from resumable.samplers.deal import Item
from resumable.samplers.finished import Finished
from resumable.samplers.sampler import ResumableSampler, progress_of
from resumable.samplers.state import LIMIT


def plan(sampler: ResumableSampler, epoch: int, steps: int) -> list[list[list[Any]]]:
    """Return the batches of the next steps, on all ranks; nothing is moved by it.

    Args:
        sampler: That of any rank.
        epoch: The epoch. In the one in which the sampler stands it begins at its position, else at the start.
        steps: How many steps, at most; fewer if the epoch ends before.

    Returns:
        For each step, for each rank, its batch: samples in their order, or packs of them.

    Raises:
        TypeError: `epoch` or `steps` is no integer.
        ValueError: one of them is negative.
    """
    progress = progress_of(sampler)
    state = progress.state()
    epoch = integer("epoch", epoch, low=0, high=LIMIT)
    steps = integer("steps", steps, low=0, high=LIMIT)
    start, finished = (state["consumed"], state["finished"]) if epoch == state["epoch"] else (0, [])
    over = Finished.of((first, stop) for first, stop in finished)
    config = progress.config
    deals = [replace(config, rank=rank).deal(epoch, start, over) for rank in range(config.layout.num_replicas)]
    planned: list[list[list[Any]]] = []
    row = 0
    while len(planned) < steps and deals[0].has_row(row):
        stop = row + 1
        while stop < row + config.layout.batch_size and deals[0].has_row(stop):
            stop += 1
        planned.append([_batch([*deal.items(row, stop)], is_batch=progress.groups_are_batches) for deal in deals])
        row = stop
    return planned


def _batch(items: list[Item], *, is_batch: bool) -> list[Any]:
    if not is_batch:
        return items
    return list(chain.from_iterable(item for item in items if isinstance(item, list)))
