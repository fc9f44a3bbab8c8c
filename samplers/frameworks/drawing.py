"""Who draws from a sampler: torch's and the frameworks' own frames, and never a user's."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from resumable.samplers.frameworks.private_names import (
    ACCELERATE_ASKS,
    ACCELERATE_LOADERS,
    BATCH_SAMPLER_PASS,
    FABRIC_LOADER,
    LIGHTNING_WRAPPER,
    LOADER_DRAWS,
    NUM_WORKERS,
    SKIPPED_BATCHES,
    TORCHDATA_BATCHES,
    PrivateName,
)

_LIBRARIES = frozenset(
    {"torch", "torchdata", "accelerate", "lightning", "lightning_fabric", "pytorch_lightning", "resumable"}
)


@dataclass(frozen=True, slots=True)
class Drawer:
    """What is known of the loader that draws; nothing where it is the user's own code."""

    batch_size: int | None = None
    """Size of the batches in which torch's or torchdata's batch sampler draws."""
    drop_last: bool = False
    """Whether that batch sampler drops a last batch that is not full."""
    reads_ahead: bool = False
    """Whether worker processes get batches before the training loop asks for them."""


def drawer() -> Drawer:
    """Return what is known of the loader on whose behalf the present call is made.

    A sampler sees only `next()`. What drops a last batch or reads ahead is found in the frames of torch's own batch
    sampler and of its loader's iterator, by module and name of their code. The walk ends at the first frame of anybody
    else, and no attribute is looked up on an object but what torch's constructors have set.

    Raises:
        RuntimeError: a framework's wrapper draws through which no position could be exact; the message shows what to write
            instead.
    """
    batch_size, drop_last, reads_ahead = None, False, False
    for frame in _library_frames():
        _refuse(frame)
        # The nearest one draws the samples; a batch sampler further away deals with batches.
        if batch_size is None and (_is(frame, BATCH_SAMPLER_PASS) or _is(frame, TORCHDATA_BATCHES)):
            found = vars(frame.f_locals["self"])
            batch_size, drop_last = found["batch_size"], found["drop_last"]
        if _is(frame, LOADER_DRAWS):
            reads_ahead = vars(frame.f_locals["self"])[NUM_WORKERS] > 0
    return Drawer(batch_size, drop_last, reads_ahead)


def is_asked_by_torchdata() -> bool:
    """Return whether torchdata asks for a state: it keeps one of our iterator too, which is exact, with each batch."""
    return any(_module(frame).startswith("torchdata.") for frame in _library_frames())


def asking_accelerator() -> object | None:
    """Return the accelerator that has been given a loader, and now asks whether it is prepared; None if none does."""
    for frame in _library_frames():
        if _is(frame, ACCELERATE_ASKS):
            return frame.f_locals["self"]  # type: ignore[no-any-return]
    return None


def _library_frames() -> Iterator[FrameType]:
    """Yield the frames that led to the present call, the nearest first, up to the first one of the user's own code.

    Nor does it matter who reads `SkippedBatches`: who has asked for them knows him, and commits what is trained on.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _module(frame).partition(".")[0] in _LIBRARIES and not _is(frame, SKIPPED_BATCHES):
        yield frame
        frame = frame.f_back


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def _is(frame: FrameType, name: PrivateName) -> bool:
    """Whether the frame runs that function, or one of that class."""
    qualified = frame.f_code.co_qualname
    return _module(frame) == name.module and f"{qualified}.".startswith(f"{name.qualified}.")


def _refuse(frame: FrameType) -> None:
    advice = None
    if _module(frame) == ACCELERATE_LOADERS.module:
        advice = (
            "it would read ahead, deal the batches out again, or skip some once more. Give accelerator.prepare a "
            "ResumableDataLoader, on several processes with a ResumableDistributedSampler; in place of "
            "skip_first_batches, accelerator.load_state or sampler.start_iter sets where to go on"
        )
    elif frame.f_code.co_qualname.startswith(f"{LIGHTNING_WRAPPER.qualified}."):
        advice = (
            "Lightning would read the whole epoch at once and shuffle it again. On several ranks give the loader a "
            "ResumableDistributedSampler, which Lightning leaves in place"
        )
    elif frame.f_code.co_qualname.startswith(f"{FABRIC_LOADER.qualified}."):
        advice = (
            "Fabric would count the epochs from 0 again after a restart. Keep a ResumableDataLoader out of "
            "setup_dataloaders, move its batches with fabric.to_device, and save it with the model by fabric.save"
        )
    if advice is not None:
        raise RuntimeError(f"{_module(frame)}.{frame.f_code.co_qualname} draws from this sampler: {advice}")
