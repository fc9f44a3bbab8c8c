"""Which different batches a rank, or all of them, trained on; each class is a code of `results.json`."""

from __future__ import annotations

from typing import Literal

from resumable.launch.explain.codes.statement import Reason
from resumable.launch.system.wording import counted

_SAVE_PLACE = "save the loader's place in the epoch with the model, and load it too: `resumable example ddp` shows how"
_SET_EPOCH = "call `sampler.set_epoch(epoch)` at the head of each epoch, and begin with the epoch that was saved"
_SAVE_GENERATOR = (
    "draw the order from a seed and the epoch alone, or save the generator's state as it is when an epoch begins"
)

# The right order from a wrong place


class EpochRestarted(Reason, frozen=True, kw_only=True):
    """The place in the epoch was not restored."""

    template = "it restarted epoch {epoch} from its first batch instead of going on at batch {batch}"
    remedy = _SAVE_PLACE
    epoch: int
    batch: int


class BatchesReplayed(Reason, frozen=True, kw_only=True):
    """It went on too early in the epoch."""

    template = "it replayed {num:batch} from before the restart (from batch {batch} on){as_if}"
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

    def __str__(self) -> str:
        batches = counted(self.num_done, "batch")
        as_if = f", as if it had skipped {self.num_done} samples instead of {batches}" if self.is_in_samples else ""
        if self.is_in_steps:
            as_if = f": it skipped {self.batch}, the number of optimizer steps, instead of {batches}"
        return self.filled(as_if=as_if)


SkipCause = Literal["accumulation", "fetched ahead", "read ahead", "twice", "in samples", "of all ranks", "unknown"]


class BatchesSkipped(Reason, frozen=True, kw_only=True):
    """It went on too late in the epoch."""

    template = "it skipped {num:batch} from batch {num_done} of epoch {epoch} on{details}"
    kind_by = ("cause",)
    epoch: int
    num: int
    num_done: int
    """Batches of the epoch that were done before the restart."""
    batch: int
    """Where it went on."""
    cause: SkipCause

    def __str__(self) -> str:
        num, details = counted(self.num, "batch"), ""
        match self.cause:
            case "accumulation":
                details = (
                    f": its checkpoint was saved in the middle of an accumulation, and the gradients of {num} are lost"
                )
            case "fetched ahead":
                details = f": {num} that the loop had only fetched ahead when it saved counted as done"
            case "read ahead":
                details = f": its sampler counted {num} that the loader's workers had only read ahead"
            case "twice":
                details = ": the batches done before the restart were skipped twice"
            case "in samples":
                details = f": samples ({self.batch}) were taken for batches ({self.num_done})"
            case "of all ranks":
                details = ": the batches of all ranks were skipped on each of them"
            case "unknown":
                pass
        return self.filled(details=details)

    @property
    def advice(self) -> str:
        """What was counted has to be counted differently."""
        match self.cause:
            case "accumulation":
                return "save when an accumulation is over, or count its batches only then"
            case "fetched ahead" | "read ahead":
                return "count a batch when it was trained on, not when it was fetched: `ResumableDataLoader` does"
            case "twice":
                return "let the loader's state skip them, or the loop, and not both"
            case "in samples" | "of all ranks" | "unknown":
                return _SAVE_PLACE


class ChoiceDiffers(Reason, frozen=True, kw_only=True):
    """Which of several loaders comes next is drawn or counted, and that was lost."""

    template = (
        "each of the {num_streams:stream} goes on at its place, but they come in different turns: "
        "is what chooses between the loaders saved and loaded?"
    )
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


class BatchesShifted(Reason, frozen=True, kw_only=True):
    """Batches lie in the right order, and begin in the middle of one."""

    template = (
        "its batches begin at sample {position} of the rank's epoch {epoch} instead of sample {right_position}: {unit}"
    )
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

    def __str__(self) -> str:
        batches = counted(self.num_done, "batch")
        unit = {
            "samples": f"it skipped {self.num_done} samples instead of {batches}",
            "batches of a different size": (
                f"it skipped {batches} of {counted(self.size, 'sample')} instead of {self.right_size}"
            ),
            "different units": "the skip was counted in different units than batches",
        }
        return self.filled(unit=unit[self.skipped])


# A wrong epoch, rank or order


class ReadsSamplesOfRank(Reason, frozen=True, kw_only=True):
    """It reads the share of a different rank."""

    template = (
        "rank {rank} trained on rank {other_rank}'s samples: "
        "did every rank load the sampler state of rank {other_rank}?"
    )
    remedy = "give each sampler its own rank, and load of a state that one rank saved only what all ranks share"
    rank: int
    other_rank: int


class EpochSkipped(Reason, frozen=True, kw_only=True):
    """The next epoch came."""

    template = "{what} was skipped or is empty: it trained on epoch {next_epoch} instead (epoch off by one)"
    remedy = "save the epoch that is under way, with the place in it, and begin with both"
    epoch: int
    is_begun: bool
    """Some of it had been done."""

    def __str__(self) -> str:
        rest = "the rest of " if self.is_begun else ""
        return self.filled(what=f"{rest}epoch {self.epoch}", next_epoch=self.epoch + 1)


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


class EpochOrderRepeated(Reason, frozen=True, kw_only=True):
    """Two epochs after each other have one order."""

    template = "epochs {previous} and {epoch} are alike: the order of epoch {previous} came again (set_epoch?)"
    remedy = _SET_EPOCH
    epoch: int
    previous: int


class SamplerEpochWrong(Reason, frozen=True, kw_only=True):
    """The right place in the order of a different epoch."""

    template = "epoch {epoch} goes on in epoch {found_epoch}'s order: the sampler's epoch {hint}"
    remedy = _SET_EPOCH
    epoch: int
    found_epoch: int

    @property
    def kind(self) -> tuple[str, ...]:
        """A sampler that stands at epoch 0 has restored nothing."""
        return (self.code, "first" if self.found_epoch == 0 else "other")

    def __str__(self) -> str:
        return self.filled(hint="is wrong (off by one?)" if self.found_epoch else "was not restored (set_epoch)")


class FinishedEpochRepeated(Reason, frozen=True, kw_only=True):
    """The restart came at the border of two epochs."""

    template = (
        "epoch {epoch} was finished before the restart, and is trained on again; all later ones come one epoch late"
    )
    remedy = "save the epoch to begin with: after the last batch of one it is the next"
    epoch: int


class GeneratorNotRestored(Reason, frozen=True, kw_only=True):
    """The sampler knows of no epoch: the order that it draws comes from a generator, or from a count of its own."""

    template = "epoch {epoch} {what}: the state of the generator that draws it, or of the sampler, was not restored"
    remedy = _SAVE_GENERATOR
    epoch: int
    found_epoch: int | None = None
    """The epoch whose order it has; None if it has none that the uninterrupted run has."""

    def __str__(self) -> str:
        known = self.found_epoch is not None
        what = f"goes on in epoch {self.found_epoch}'s order" if known else "has an order of its own"
        return self.filled(what=what)


class DrawnAgain(Reason, frozen=True, kw_only=True):
    """No loader gives the batches: whatever draws them began elsewhere."""

    template = (
        "no data loader gives its batches, and it went on with those from batch {found_batch} on instead of batch {batch}: "
        "what draws them was not restored"
    )
    remedy = (
        "save each rank's `torch.get_rng_state()` (or the generator's state) with the model, and set it before training "
        "goes on"
    )
    batch: int
    found_batch: int


class SamplesDuplicated(Reason, frozen=True, kw_only=True):
    """No permutation."""

    template = "{num:sample} duplicated in what this rank trained on of epoch {epoch}: no permutation"
    epoch: int
    num: int


class OrderDiffers(Reason, frozen=True, kw_only=True):
    """The right samples."""

    template = "the right {unit} of epoch {epoch}, in a different order"
    remedy = _SAVE_GENERATOR
    kind_by = ("unit",)
    epoch: int
    unit: Literal["samples", "batches"]


class OrderUnknown(Reason, frozen=True, kw_only=True):
    """Known samples in no known order."""

    template = "epoch {epoch} has an order that no epoch of the uninterrupted run has: a different seed or epoch?"
    remedy = _SAVE_GENERATOR
    epoch: int


class FitsNowhere(Reason, frozen=True, kw_only=True):
    """Nothing explains it."""

    template = "{what} no epoch of the uninterrupted run from batch {batch} on{more}"
    kind_by = ("unit",)
    batch: int
    unit: Literal["samples", "content"]

    def __str__(self) -> str:
        if self.unit == "samples":
            return self.filled(what="the samples fit", more="")
        more = (
            ": different samples, or the same ones put together or transformed differently; "
            "is the state of the generator that they are drawn by saved and loaded?"
        )
        return self.filled(what="the content of its batches fits", more=more)
