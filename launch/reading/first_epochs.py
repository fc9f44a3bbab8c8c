"""How often an epoch trains on each sample, as the job itself showed before it was first interrupted."""

from __future__ import annotations

from collections import Counter

from resumable.launch.evidence.rank_records import Loader
from resumable.launch.reading.global_stream import Sample, samples_of
from resumable.launch.reading.lives import Run


def usual_epoch(run: Run) -> Counter[Sample] | None:
    """The samples of every epoch that was whole before the first restart; None if those do not say what an epoch is.

    An epoch is known to be whole where the next one was begun. Two that hold the same samples say what an epoch is; one
    alone does if it holds every sample of the data set and repeats no more than padding would: what is drawn with
    replacement, or what drops a tail, differs from epoch to epoch.
    """
    first = [life for life in run.lives if life.incarnation == run.history.incarnations[0]]
    epochs: dict[int, Counter[Sample]] = {}
    for life in first:
        for step in life.steps:
            for batch in step.batches:
                epochs.setdefault(batch.epoch, Counter()).update(samples_of(batch.key))
    whole = [epochs[epoch] for epoch in sorted(epochs)[:-1]]
    if not whole or any(epoch != whole[0] for epoch in whole):
        return None
    return whole[0] if len(whole) > 1 or _is_everything(whole[0], run, world_size=len(first)) else None


def _is_everything(epoch: Counter[Sample], run: Run, *, world_size: int) -> bool:
    loaders = [r for life in run.lives for r in life.trajectory.process.records if isinstance(r, Loader)]
    sizes = {loader.num_samples for loader in loaders if loader.loader in _trained(run)}
    return sizes == {len(epoch)} and epoch.total() - len(epoch) < world_size


def _trained(run: Run) -> set[int]:
    return {batch.loader for life in run.lives for step in life.steps for batch in step.batches}
