"""Which different order, epoch or share a rank trained on; each class is a code of `results.json`."""

from __future__ import annotations

from typing import Literal

from resumable.launch.explain.codes.statement import Reason

_SET_EPOCH = (
    "call `sampler.set_epoch(epoch)` at the head of each epoch, and begin with the epoch that is under way: "
    "after the last batch of one it is the next"
)
_SAVE_GENERATOR = (
    "draw the order from a seed and the epoch alone, or save the generator's state as it is when an epoch begins"
)
_SAVE_WHAT_DRAWS = (
    "save each rank's `torch.get_rng_state()` (or what else makes its batches: a generator, an environment, a memory) with "
    "the model, as it is before the next batch is drawn, and set it before training goes on"
)


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

    template = (
        "{is_begun:?the rest of }epoch {epoch} was skipped or is empty: it trained on epoch {next_epoch} instead "
        "(epoch off by one)"
    )
    remedy = "save the epoch that is under way, with the place in it, and begin with both"
    epoch: int
    is_begun: bool
    """Some of it had been done."""

    def __str__(self) -> str:
        return self.filled(next_epoch=self.epoch + 1)


class EpochOrderRepeated(Reason, frozen=True, kw_only=True):
    """Two epochs after each other have one order."""

    template = "epochs {previous} and {epoch} are alike: the order of epoch {previous} came again (set_epoch?)"
    remedy = _SET_EPOCH
    epoch: int
    previous: int


class SamplerEpochWrong(Reason, frozen=True, kw_only=True):
    """The right place in the order of a different epoch."""

    template = (
        "epoch {epoch} goes on in epoch {found_epoch}'s order: the sampler's epoch {hint}"
        "{is_earlier_begun:?, or epoch {found_epoch} is trained on again}"
    )
    remedy = _SET_EPOCH
    epoch: int
    found_epoch: int
    is_earlier_begun: bool = False
    """At the first batch of an earlier epoch, so that it may be that epoch itself, and nobody saw how it went on."""

    @property
    def kind(self) -> tuple[str, ...]:
        """A sampler that stands at epoch 0 has restored nothing."""
        return (self.code, "first" if self.found_epoch == 0 else "other")

    def __str__(self) -> str:
        hint = "is wrong (off by one?)" if self.found_epoch else "was not restored (set_epoch)"
        return self.filled(hint=hint)


class FinishedEpochRepeated(Reason, frozen=True, kw_only=True):
    """The restart came at the border of two epochs."""

    template = "epoch {epoch} was finished before the restart, and is trained on again; all later ones come late"
    remedy = (
        "save the epoch to begin with, after the last batch of one the next, and draw its order from it: "
        "`sampler.set_epoch(epoch)`"
    )
    epoch: int


class GeneratorNotRestored(Reason, frozen=True, kw_only=True):
    """The sampler knows of no epoch: the order that it draws comes from a generator, or from a count of its own."""

    template = (
        "epoch {epoch} {found_epoch:goes on in epoch {found_epoch}'s order|has an order of its own}: the state of the "
        "generator that draws it, or of the sampler, or what it goes by (losses, a pool), was not restored"
        "{is_earlier_begun:?, or epoch {found_epoch} is trained on again}"
    )
    remedy = _SAVE_GENERATOR
    epoch: int
    found_epoch: int | None = None
    """The epoch whose order it has; None if it has none that the uninterrupted run has."""
    is_earlier_begun: bool = False
    """It may be the epoch before itself that comes again: nobody saw how many epochs the job has then."""


class DrawnAgain(Reason, frozen=True, kw_only=True):
    """No loader gives the batches: whatever draws them began elsewhere."""

    template = (
        "no data loader gives its batches, and it went on with those from batch {found_batch} on instead of batch {batch}: "
        "what draws them was not restored"
    )
    remedy = _SAVE_WHAT_DRAWS
    batch: int
    found_batch: int


class SamplesDuplicated(Reason, frozen=True, kw_only=True):
    """No permutation."""

    template = "{num:sample} duplicated in what this rank trained on of epoch {epoch}: no permutation"
    remedy = _SAVE_GENERATOR
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

    template = "{what} no epoch of the uninterrupted run from there on{more}"
    kind_by = ("unit",)
    unit: Literal["samples", "content", "inputs"]
    """By which batches are known; inputs are what a model is fed that no loader gives."""

    def __str__(self) -> str:
        if self.unit == "samples":
            return self.filled(what="the samples fit", more="")
        if self.unit == "inputs":
            more = ": what makes them (a size, a generator, a memory, a hidden state) was not restored"
            return self.filled(what="no data loader gives its batches, and their content fits", more=more)
        more = ": different samples, or the same ones put together or transformed differently"
        return self.filled(what="the content of its batches fits", more=more)

    @property
    def advice(self) -> str:
        """Content names no samples, so that the order need not be what is wrong."""
        return _SAVE_GENERATOR if self.unit == "samples" else _SAVE_WHAT_DRAWS
