"""From which wrong place of the right order a rank went on; each class is a code of `results.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from resumable.launch.explain.codes.statement import Reason

_SAVE_PLACE = (
    "save the loader's place in the epoch with the model, and load it too: `resumable example ddp` shows how "
    "(or `plain`, `torchdata`, `lightning`, `accelerate`, `transformers`)"
)


class EpochRestarted(Reason, frozen=True, kw_only=True):
    """The place in the epoch was not restored."""

    template = "it restarted epoch {epoch} from its first batch instead of going on at batch {batch}"
    remedy = _SAVE_PLACE
    epoch: int
    batch: int


class BatchesReplayed(Reason, frozen=True, kw_only=True):
    """It went on too early in the epoch."""

    template = (
        "it replayed {num:batch} from before the restart (from batch {batch} on)"
        "{is_in_samples:?, as if it had skipped {num_done} samples instead of {num_done:batch}}"
        "{is_in_steps:?: it skipped {batch}, the number of optimizer steps, instead of {num_done:batch}}"
    )
    remedy = _SAVE_PLACE
    kind_by = ("is_in_samples", "is_in_steps")
    num: int
    batch: int
    num_done: int
    """Batches of the epoch that were done before the restart."""
    is_in_samples: bool
    """It skipped so many samples as it should have skipped batches."""
    is_in_steps: bool = False
    """It skipped so many batches as there were optimizer steps, each of several batches."""


SkipCause = Literal[
    "accumulation", "fetched ahead", "read ahead", "twice", "in samples", "of all ranks", "of all workers", "unknown"
]
_TRAINED_ON = "count a batch when it was trained on, not when it was fetched: `ResumableDataLoader` does"
_SKIPPED: Mapping[SkipCause, tuple[str, str]] = {
    "accumulation": (
        ": its checkpoint was saved between the backward pass and the step of {num:batch}, so that its gradients are lost",
        "save when the optimizer's step is done, or count its batches only then",
    ),
    "fetched ahead": (
        ": {num:batch} that the loop had only fetched ahead when it saved counted as done",
        _TRAINED_ON,
    ),
    "read ahead": (": its sampler counted {num:batch} that the loader's workers had only read ahead", _TRAINED_ON),
    "twice": (
        ", as if the batches done before the restart had been skipped twice",
        "let the loader's state skip them, or the loop, and not both",
    ),
    "in samples": (", as if the {num_done:batch} done before had been counted in samples", _SAVE_PLACE),
    "of all ranks": (", as if the batches of all ranks had been skipped on each of them", _SAVE_PLACE),
    "of all workers": (
        ", as if the batches of all loader workers had been skipped in each of them",
        "each worker has a share of the samples: let it skip what it did itself",
    ),
    "unknown": ("", _SAVE_PLACE),
}
"""What is said of each cause, and what has to be counted differently."""


class BatchesSkipped(Reason, frozen=True, kw_only=True):
    """It went on too late in the epoch."""

    template = "it skipped {num:batch} from batch {num_done} of epoch {epoch} on"
    kind_by = ("cause",)
    epoch: int
    num: int
    num_done: int
    """Batches of the epoch that were done before the restart."""
    batch: int
    """Where it went on."""
    cause: SkipCause

    @property
    def wording(self) -> str:
        """With the cause."""
        return self.template + _SKIPPED[self.cause][0]

    @property
    def advice(self) -> str:
        """Of the cause."""
        return _SKIPPED[self.cause][1]


class AccumulationOffCount(Reason, frozen=True, kw_only=True):
    """Gradients are accumulated over the right batches, and steps come elsewhere among them."""

    template = (
        "its batches are the right ones in their order: when a step is due, or whose turn it is, was counted from the "
        "restart on, or in each epoch again, instead of from where the count stood"
    )
    remedy = "save the count by which steps are due with the model, or count it from the batches since training began"


class ChoiceDiffers(Reason, frozen=True, kw_only=True):
    """Which of several loaders comes next is drawn or counted, and that was lost."""

    template = (
        "each of the {num_streams:stream} goes on at its place, but they come in different turns: "
        "what chooses between the loaders was not restored"
    )
    remedy = "save what chooses between the loaders, a generator or a count, and load it too"
    num_streams: int


class BatchSizeDiffers(Reason, frozen=True, kw_only=True):
    """Batches are larger or smaller."""

    template = "its batches are of {size:sample} instead of {right_size} from batch {batch} of epoch {epoch} on"
    remedy = "start it again with the batch size of before, or count progress in samples"
    epoch: int
    batch: int
    size: int
    right_size: int


SkipUnit = Literal["samples", "batches of a different size", "different units"]
_SHIFTED: Mapping[SkipUnit, str] = {
    "samples": "it skipped {num_done} samples instead of {num_done:batch}",
    "batches of a different size": "it skipped {num_done:batch} of {size:sample} instead of {right_size}",
    "different units": "the skip was counted in different units than batches",
}


class BatchesShifted(Reason, frozen=True, kw_only=True):
    """Batches lie in the right order, and begin in the middle of one."""

    template = "its batches begin at sample {position} of the rank's epoch {epoch} instead of sample {right_position}: "
    remedy = _SAVE_PLACE
    kind_by = ("skipped",)
    epoch: int
    position: int
    right_position: int
    num_done: int
    """Batches of the epoch that were done before the restart."""
    size: int
    right_size: int
    skipped: SkipUnit

    @property
    def wording(self) -> str:
        """With the unit of the skip."""
        return self.template + _SHIFTED[self.skipped]


class VeryFirstBatch(Reason, frozen=True, kw_only=True):
    """The order was not restored, the parameters were."""

    template = "it started again with the very first batch of epoch 0, though its parameters go on"
    remedy = _SAVE_PLACE


class WrongPlace(Reason, frozen=True, kw_only=True):
    """A different epoch from a different batch."""

    template = (
        "it trained on epoch {found_epoch} from batch {found_batch} on, instead of epoch {epoch} from batch {batch} on"
    )
    remedy = _SAVE_PLACE
    epoch: int
    batch: int
    found_epoch: int
    found_batch: int
