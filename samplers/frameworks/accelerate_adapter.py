"""What accelerate finds when it is given a resumable loader."""

from collections.abc import Iterator
from importlib import import_module
from typing import Protocol, TypeVar, cast

import torch

from resumable.samplers.epoch_pass import EpochPass
from resumable.samplers.frameworks.drawing import asking_accelerator
from resumable.samplers.frameworks.private_names import GradientState, begin_pass, end_pass
from resumable.samplers.sampler import ResumableSampler, progress_of

_T = TypeVar("_T")


class Accelerator(Protocol):
    """The part of `accelerate.Accelerator` that concerns a loader."""

    device: torch.device
    device_placement: bool
    non_blocking: bool
    split_batches: bool
    dispatch_batches: bool | None
    num_processes: int
    process_index: int
    gradient_state: GradientState


class AcceleratedLoader:
    """Base of a loader that `Accelerator.prepare` leaves as it is, and `save_state` and `load_state` take along.

    accelerate would put a loader of its own around the sampler, which deals the batches out once more, fetches one
    ahead and counts the epochs by itself: no position is exact through that. What its loader does for the training
    loop, this one does: batches are moved to the accelerator's device, gradients that are being accumulated are applied
    with the last batch of a pass, and a pass that follows a whole one is the next epoch where the loop names none.
    """

    sampler: ResumableSampler
    use_stateful_dataloader = True
    """Asks accelerate to keep this loader's state."""
    _accelerator: Accelerator | None = None

    @property
    def _is_accelerate_prepared(self) -> bool:
        """Whether accelerate has nothing left to do, which it asks before it would do it.

        Raises:
            ValueError: the accelerator has different ranks than the sampler deals to, or is to deal batches out itself.
        """
        accelerator = cast("Accelerator | None", asking_accelerator())
        if accelerator is not None:
            _check(accelerator, self.sampler)
            self._accelerator = accelerator
        return self._accelerator is not None

    @_is_accelerate_prepared.setter
    def _is_accelerate_prepared(self, prepared: bool) -> None:
        """Take no notice: accelerate sets it on all that went through `prepare`."""

    def name_next_epoch(self) -> None:
        """Go on to the next epoch behind one that is over, as accelerate's own loader does; else do nothing."""
        if self._accelerator is not None:
            progress_of(self.sampler).advance()

    def accelerated(self, batches: Iterator[_T], epoch_pass: EpochPass) -> Iterator[_T]:
        """Return a pass's batches as accelerate's own loader would; as they are if no accelerator has asked."""
        if self._accelerator is None:
            return batches
        return _deliver(batches, self._accelerator, _Ending(epoch_pass))


class _Ending:
    """What accelerate asks of a loader during a step."""

    remainder = -1
    """accelerate does not know which samples are padding; the sampler does."""

    def __init__(self, epoch_pass: EpochPass) -> None:
        self._pass = epoch_pass

    @property
    def end_of_dataloader(self) -> bool:
        """Whether the batch that was delivered last is the last one of its pass."""
        return self._pass.num_remaining == 0


def _deliver(batches: Iterator[_T], accelerator: Accelerator, ending: _Ending) -> Iterator[_T]:
    place = import_module("accelerate.utils").send_to_device
    begin_pass(accelerator.gradient_state, ending)
    try:
        for batch in batches:
            if accelerator.device_placement:
                yield place(batch, accelerator.device, non_blocking=accelerator.non_blocking)
            else:
                yield batch
    finally:
        end_pass(accelerator.gradient_state, ending)


def _check(accelerator: Accelerator, sampler: ResumableSampler) -> None:
    # Ranks that hold parts of one model read the same batches.
    parallelism = getattr(accelerator, "parallelism_config", None)
    ranks_a_model = getattr(parallelism, "non_data_parallel_size", 1)
    wanted = accelerator.process_index // ranks_a_model, accelerator.num_processes // ranks_a_model
    config = progress_of(sampler).config
    found = config.rank, config.layout.num_replicas
    if wanted != found:
        raise ValueError(
            "the sampler deals to rank {} of {}, but this is accelerate's process {} of {}: make it a "
            "ResumableDistributedSampler with rank=accelerator.process_index and "
            "num_replicas=accelerator.num_processes".format(*found, *wanted)
        )
    for option in ("split_batches", "dispatch_batches"):
        if getattr(accelerator, option):
            raise ValueError(
                f"{option}=True: the sampler deals the batches out itself; leave it off, and give the sampler the "
                "number of samples that one process trains on at a time as its batch_size"
            )
