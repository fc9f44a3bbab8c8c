"""How often an epoch trains on each sample, as the job itself showed before it was first interrupted."""

from __future__ import annotations

from collections import Counter

from resumable.launch.reading.epoch_samples import EpochSamples
from resumable.launch.reading.global_stream import Sample
from resumable.launch.reading.lives import Run


def usual_epoch(run: Run) -> Counter[Sample] | None:
    """The samples of every epoch that was whole before the first restart; None if those do not say what an epoch is.

    An epoch is known to be whole where the next one was begun. Two that hold the same samples say what an epoch is; one
    alone does if it holds every sample of the data set and repeats no more than padding would: what is drawn with
    replacement, or what drops a tail, differs from epoch to epoch.
    """
    first = run.group(run.history.incarnations[0])
    epochs = EpochSamples(life.steps for life in first)
    whole = epochs.epochs[:-1]
    if not whole:
        return None
    usual = epochs.count(whole[0])
    if any(epochs.count(epoch) != usual for epoch in whole[1:]):
        return None
    return usual if len(whole) > 1 or _is_everything(usual, run, world_size=len(first)) else None


def _is_everything(epoch: Counter[Sample], run: Run, *, world_size: int) -> bool:
    sizes = {loader.num_samples for life in run.lives for loader in life.trajectory.loaders.values()}
    return sizes == {len(epoch)} and epoch.total() - len(epoch) < world_size
