"""Finds the pass over the data in which a process first trained on different batches than it should have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec

from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import BatchKey

Epochs = dict[int, list[BatchKey]]
"""Batches of each epoch, in order."""


class RankComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What one process trained on, beside what it should have trained on."""

    rank: int
    expected: Mapping[int, Steps]
    """All steps of the uninterrupted run, of every rank."""
    found: Steps
    """Steps of the process, epochs counted since training began."""
    first_step: int
    """Step of the uninterrupted run that it should have begun with."""
    is_whole: bool
    """It ended by itself, so that nothing came after `found`."""
    loader: int | None = None
    """The only loader that is looked at, where several run side by side; each has epochs of its own then."""
    batch_size: int = 0
    """0 where the loader does not say."""
    num_read_ahead: int = 0
    """Batches that the loader's workers may have read ahead."""
    num_sharing: int = 0
    """Loader workers that share the samples of an iterable data set; 0 where a sampler deals them out, or one has all."""
    num_batches: int = 0
    """Of a whole epoch, as the loader says; 0 where it does not."""
    num_samples: tuple[int, int] = (0, 0)
    """Of the data set where the batches differ, expected and found; 0 where a loader does not say."""
    has_epochs: bool = True
    """The sampler says in which epoch it is."""
    has_loader: bool = True
    """A data loader gives the batches; without one they are known by what forward passes got."""
    num_accumulated: int = 0
    """Batches after `first_step` whose gradients had been summed up when the checkpoint was written, for a later step."""
    num_ahead: int = 0
    """Batches that the loop had been given and not trained on when the step was done that the process went on from."""


class FirstWrongEpoch(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The first pass of a process that is not as expected."""

    comparison: RankComparison
    epoch: int
    start: int
    """Batch of the epoch that the pass should begin with."""
    wanted: list[BatchKey]
    found: list[BatchKey]
    resume_batch: int
    """Batch of its epoch at which the process resumed."""
    is_first: bool
    """The pass is the one in which the process resumed."""
    following: list[BatchKey]
    """The pass after it, as far as it came."""

    @cached_property
    def rank_epochs(self) -> dict[int, Epochs]:
        """Batches of every rank in the uninterrupted run."""
        return {rank: epochs_of(steps, self.comparison.loader) for rank, steps in self.comparison.expected.items()}

    @property
    def epochs(self) -> Epochs:
        """Batches of the rank in the uninterrupted run."""
        return self.rank_epochs[self.comparison.rank]

    def is_followed_by(self, epoch: int) -> bool:
        """Whether the next pass begins as this epoch of the uninterrupted run does."""
        return bool(self.following) and self.epochs.get(epoch, [])[: len(self.following)] == self.following

    @cached_property
    def place(self) -> tuple[int, int] | None:
        """Epoch and batch of the uninterrupted run at which the pass begins; None if its first batches are nowhere.

        One batch tells nothing where more were to follow: a job may make the same batches in each epoch, in another order.
        """
        places = [
            (num_equal, epoch == self.epoch, number == self.start, epoch, number)
            for epoch, batches in self.epochs.items()
            for number, key in enumerate(batches)
            if key == self.found[0]
            and (num_equal := _num_equal(batches[number:], self.found))
            >= min(2, len(batches) - number, len(self.found))
        ]
        best = max(places, default=None)
        return best[3:] if best else None


def find_first_wrong_epoch(comparison: RankComparison) -> FirstWrongEpoch | None:
    """The first pass that is not as expected; None if all are."""
    expected = comparison.expected[comparison.rank]
    rest = epochs_of(expected[comparison.first_step :], comparison.loader)
    first_epoch = min(rest, default=0)
    resume_batch = len(epochs_of(expected[: comparison.first_step], comparison.loader).get(first_epoch, ()))
    found = epochs_of(comparison.found, comparison.loader)
    if comparison.loader is not None and rest:
        # The epochs of a process are counted on from where only the first of its loaders was.
        shift = first_epoch - min(found, default=0)
        found = {epoch + shift: batches for epoch, batches in found.items()}
    for epoch in sorted(rest.keys() | found.keys()):
        wanted, got = rest.get(epoch, []), found.get(epoch, [])
        is_cut = not comparison.is_whole and epoch >= max(found, default=0)
        if got == wanted or (is_cut and wanted[: len(got)] == got):
            continue
        return FirstWrongEpoch(
            comparison=comparison,
            epoch=epoch,
            start=resume_batch if epoch == first_epoch else 0,
            wanted=wanted,
            found=got,
            resume_batch=resume_batch,
            is_first=epoch == first_epoch,
            following=found.get(epoch + 1, []),
        )
    return None


def epochs_of(steps: Steps, loader: int | None = None) -> Epochs:
    """Batches of each epoch that a rank trained on, of all loaders or of one."""
    epochs: Epochs = {}
    for step in steps:
        for batch in step.batches:
            if loader in (None, batch.loader):
                epochs.setdefault(batch.epoch, []).append(batch.key)
    return epochs


def _num_equal(wanted: Sequence[BatchKey], found: Sequence[BatchKey]) -> int:
    """Length of the common beginning."""
    number = first_difference(wanted, found)
    return len(found) if number is None else number
