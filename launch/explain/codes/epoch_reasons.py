"""Why an epoch is too short, too long, or ends differently; each class is a code of `results.json`."""

from __future__ import annotations

from resumable.launch.explain.codes.statement import Reason

_AS_FIRST = "make the loader as it was made first, `drop_last` and all that the length of an epoch follows from"


class EpochEmpty(Reason, frozen=True, kw_only=True):
    """Nothing of it was trained on."""

    template = "epoch {epoch} is empty, or training ended before it"
    remedy = "skip batches in the resumed epoch alone, and train for as many epochs as without a restart"
    epoch: int


class EpochBeyondEnd(Reason, frozen=True, kw_only=True):
    """One epoch too many."""

    template = "training went on in epoch {epoch}, which the uninterrupted run does not have"
    remedy = "count the epochs that were done before the restart, and restore what else ends training (a patience, say)"
    epoch: int


class StepsBeyondEnd(Reason, frozen=True, kw_only=True):
    """The order is right, and the end is not."""

    template = "it went {num:batch} past the end of training, which without a stop ends in the middle of epoch {epoch}"
    remedy = "save how many steps are done, and end with the same one"
    epoch: int
    num: int


class EpochTooLong(Reason, frozen=True, kw_only=True):
    """All its batches, and more."""

    template = "epoch {epoch} goes on for {num:more batch}"
    remedy = _AS_FIRST
    epoch: int
    num: int


class LastBatchMissing(Reason, frozen=True, kw_only=True):
    """All its batches but the last."""

    template = "the last batch of epoch {epoch} is missing: it was dropped (drop_last) or never fetched"
    remedy = _AS_FIRST
    epoch: int


class EpochTruncated(Reason, frozen=True, kw_only=True):
    """The right batches, and too few."""

    template = (
        "epoch {epoch} is truncated: it ends after {num_found} of {num_expected:batch}; "
        "a skip that is still set or counted twice, a shorter data set, or an early end of training does this"
    )
    remedy = "skip batches in the resumed epoch alone, once, and restore what its length follows from"
    epoch: int
    num_found: int
    num_expected: int


class SkipNotCleared(Reason, frozen=True, kw_only=True):
    """A later epoch begins where the resumed one did."""

    template = (
        "epoch {epoch} is truncated: it begins at batch {batch}{is_as_resumed:?, as many as the resumed epoch had skipped}; "
        "the skip of the resumed epoch was never cleared (sticky start_iter)"
    )
    remedy = "set the skip back to 0 where the resumed epoch ends"
    epoch: int
    batch: int
    is_as_resumed: bool


class LastBatchDiffers(Reason, frozen=True, kw_only=True):
    """Padding."""

    template = (
        "only the last batch of epoch {epoch} differs: its padding comes from the remainder instead of "
        "the epoch's start, or drop_last is different"
    )
    remedy = "pad what is left of an epoch with its first samples, as the whole one is, and leave `drop_last` as it was"
    epoch: int
