"""A batch sampler around any of the samplers."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch.utils.data import BatchSampler

from resumable.samplers.arguments import flag
from resumable.samplers.epoch_pass import EpochPass
from resumable.samplers.frameworks.skipping import SkippedBatches
from resumable.samplers.iterator import BatchIterator
from resumable.samplers.sampler import ResumableSampler, progress_of


class ResumableBatchSampler(BatchSampler):
    """Yields a rank's batches as lists; resumable stand-in for `torch.utils.data.BatchSampler`.

    Position and state are the sampler's own; a state of one loads into the other.

    Args:
        sampler: Any resumable sampler.
        batch_size: Samples in a batch. It must be the sampler's, which is meant by None.
        drop_last: Whether a last batch that is not full is dropped. The sampler then does not deal it out.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: the sampler counts in batches of a different size.
    """

    sampler: ResumableSampler

    def __init__(self, sampler: ResumableSampler, batch_size: int | None = None, drop_last: bool = False) -> None:
        if not isinstance(sampler, ResumableSampler):
            raise TypeError(
                f"sampler={type(sampler).__name__}: expected one of this package's samplers, on several ranks "
                "ResumableDistributedSampler, in whose place Lightning's Trainer puts no sampler of its own; in a batch "
                "sampler it puts one unless use_distributed_sampler=False"
            )
        if type(sampler).__iter__ is not ResumableSampler.__iter__:
            raise TypeError(
                f"sampler={type(sampler).__name__}: it has an __iter__ of its own, which batches would go past; a different "
                "order is order=…, see Order"
            )
        if batch_size not in (None, sampler.batch_size):
            raise ValueError(
                f"batch_size={batch_size!r}: the sampler counts in batches of {sampler.batch_size}; give it this size"
            )
        super().__init__(sampler, sampler.batch_size, flag("drop_last", drop_last))
        self._latest_pass: EpochPass | None = None
        self._num_skipped = 0
        if drop_last:
            progress_of(sampler).deal_whole_batches()

    def __len__(self) -> int:
        """Return the number of this rank's batches in a whole epoch."""
        return (len(self.sampler) + self.batch_size - 1) // self.batch_size

    def epoch_state_dict(self) -> dict[str, Any]:
        """Return the sampler's state at the start of the present epoch."""
        return self.sampler.epoch_state_dict()

    def __iter__(self) -> BatchIterator | SkippedBatches:
        """Begin a pass at the position of the sampler."""
        batches = BatchIterator.over(progress_of(self.sampler))
        self._latest_pass = batches.epoch_pass
        num_skipped, self._num_skipped = self._num_skipped, 0
        return SkippedBatches(batches, num_skipped) if num_skipped else batches

    @property
    def start_iter(self) -> int:
        """Batch of the epoch with which the next pass begins; see `ResumableSampler.start_iter`."""
        return self.sampler.start_iter

    @start_iter.setter
    def start_iter(self, start_iter: int) -> None:
        self.sampler.start_iter = start_iter

    @property
    def remaining(self) -> int:
        """Number of batches that this rank has left in the epoch."""
        return -(-self.sampler.remaining // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch of the next pass; see `ResumableSampler.set_epoch`."""
        self.sampler.set_epoch(epoch)

    def commit(self, num_batches: int | Iterable[int] = 1) -> None:
        """Record what was trained on; see `ResumableSampler.commit`."""
        self.sampler.commit(num_batches)

    def state_dict(self) -> dict[str, Any]:
        """Return the sampler's state."""
        return self.sampler.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any], *, allow: Collection[str] = ()) -> None:
        """Go on from a state; see `ResumableSampler.load_state_dict`."""
        self.sampler.load_state_dict(state_dict, allow=allow)


def latest_pass_of(batches: ResumableBatchSampler) -> EpochPass | None:
    """Return the pass that the latest iterator over a batch sampler reads, for the loader around it."""
    return batches._latest_pass


def expect_skip(batches: ResumableBatchSampler, num_batches: int) -> None:
    """Let the next pass begin with so many empty batches, for a framework that throws them away.

    The position is where it goes on already, but it counts for itself, and must find as many as it has counted.
    """
    batches._num_skipped = num_batches
