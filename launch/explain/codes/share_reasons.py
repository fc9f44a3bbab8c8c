"""Which share of the data a rank went on with where the number of ranks or the data set changed; each class is a code."""

from __future__ import annotations

from resumable.launch.explain.codes.statement import Reason

_SAVE_SAMPLES = (
    "save progress in samples of all ranks: the state of a `ResumableDistributedSampler` holds on any number"
)


class PartOfDataset(Reason, frozen=True, kw_only=True):
    """Its indices cannot be compared."""

    template = (
        "its data set has {num_samples:sample}, whose indices are different, and neither losses nor parameters show that "
        "it went on with the right part"
    )
    remedy = "skip samples of the whole data set instead, so that each keeps its index: `ResumableDataLoader` does"
    num_samples: int


class DatasetLengthDiffers(Reason, frozen=True, kw_only=True):
    """What an epoch's data set is made of came with training, and was lost."""

    template = (
        "the data set of epoch {epoch} has {num_found:sample} where the uninterrupted run's has {num_expected}: what it is "
        "made of (a stage, a pool, labels of the model's own) was not restored"
    )
    remedy = "save what the data set is made of with the model, and make it of that before training goes on"
    epoch: int
    num_found: int
    num_expected: int


class WorkersDiffer(Reason, frozen=True, kw_only=True):
    """An iterable data set deals its samples out itself."""

    template = (
        "its samples are dealt out among {num_found:loader worker} where the uninterrupted run has {num_expected}: an "
        "iterable data set gives them in a different order then"
    )
    remedy = "save the loader's `num_workers`, and make it with as many"
    num_found: int
    num_expected: int


class GlobalBatchRepeated(Reason, frozen=True, kw_only=True):
    """All ranks together train again on what they have trained on."""

    template = (
        "global batch {step} is trained on again: was the skip counted in a number of micro-batches or ranks "
        "that is a different one now?"
    )
    remedy = _SAVE_SAMPLES
    step: int


class ProgressInBatches(Reason, frozen=True, kw_only=True):
    """A position in batches means less with fewer ranks."""

    template = "progress was counted in batches: those of {before} ranks were taken for batches of {after}"
    remedy = _SAVE_SAMPLES
    before: int
    after: int


class SharesOfOldSize(Reason, frozen=True, kw_only=True):
    """The samplers kept the number of ranks."""

    template = "the samplers still deal the samples out to {before} ranks, though there are {after}"
    remedy = "make the sampler with the number of ranks that there are now, and load only its progress"
    before: int
    after: int
