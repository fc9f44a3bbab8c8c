"""What a job trained on: one batch, and one optimizer step."""

from __future__ import annotations

import msgspec

from resumable.launch.evidence.rank_records import Index, Step

BatchKey = tuple[Index, ...] | str | None
"""What two batches are compared by: their indices, else their content digest, else nothing."""

NO_STEP = Step(sequence=0, time_ns=0, step=0)
"""In place of the line of a step that has none: a job without an optimizer, or a process that was killed before it."""


class TrainedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that the job trained on."""

    loader: int
    epoch: int
    """Ordinal of its pass among the passes that were trained on: in its process, or since training began."""
    batch: int
    """Number of the batch in its pass, from 0."""
    key: BatchKey
    line: int
    """Where it stands in the file of its process, from 1."""
    digest: str | None = None
    """Of its content, where it was asked for or there are no indices."""
    backward_line: int | None = None
    """Where its first backward pass stands in that file; None if it had none."""

    @property
    def indices(self) -> tuple[Index, ...]:
        """The samples in their order; empty where the data set has no indices."""
        return self.key if isinstance(self.key, tuple) else ()

    @property
    def samples(self) -> tuple[Index, ...]:
        """What a report shows of it: its indices, or else the digest of its content."""
        return (self.key,) if isinstance(self.key, str) else self.indices


class TrainedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One optimizer step and the batches that it consumed."""

    batches: tuple[TrainedBatch, ...] = ()
    losses: tuple[float | None, ...] = ()
    """One for each backward pass, as it began there."""
    scale: float | None = None
    """What a gradient scaler had multiplied each of them by."""
    record: Step = NO_STEP
    """Its line, joined with those of further optimizers of the same step."""
    line: int = 0
    """Where the step stands in the file of its process; 0 for a step that only other evidence shows."""
    carries: bool = False
    """Gradients that its process did not make are part of it."""

    @property
    def unscaled_losses(self) -> tuple[float | None, ...]:
        """For people, who know the loss and not what a gradient scaler makes of it."""
        return tuple([unscaled(loss, self.scale) for loss in self.losses])

    @property
    def keys(self) -> tuple[BatchKey, ...]:
        """What the step is compared by."""
        return tuple([batch.key for batch in self.batches])

    @property
    def before(self) -> str | None:
        """Digest of the parameters before it; only on the first step of a process."""
        return self.record.before

    @property
    def after(self) -> str | None:
        """Digest of the parameters after it."""
        return self.record.after


def unscaled(loss: float | None, scale: float | None) -> float | None:
    """A loss without what a gradient scaler multiplied it by."""
    return loss if loss is None or not scale else loss / scale
