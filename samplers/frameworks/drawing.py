"""Who draws from a sampler: torch's and the frameworks' own frames, and never a user's."""

from collections.abc import Iterator
from dataclasses import dataclass
from inspect import CO_GENERATOR
from types import CodeType, FrameType

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
    TORCHDATA_RESTORES,
    PrivateName,
    frame_at,
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
    stranger: CodeType | None = None
    """Somebody's code that draws and hands on to whoever trains, as a batch sampler of one's own: perhaps later, or less."""


def drawer(*, in_batches: bool) -> Drawer:
    """Return what is known of the loader on whose behalf the present call is made.

    A sampler sees only `next()`. What drops a last batch or reads ahead is found in the frames of torch's own batch
    sampler and of its loader's iterator, by module and name of their code. Of anybody else's code is seen that it stands in
    between, or draws samples as a generator; no attribute is looked up on an object but what torch's constructors have set.

    Args:
        in_batches: Whether whole batches are drawn.

    Raises:
        RuntimeError: a framework's wrapper draws through which no position could be exact; the message shows what to write
            instead.
    """
    batch_size, drop_last, reads_ahead = None, False, False
    # Not this function's own frame: it would hold itself, and with it whoever draws, until garbage is collected.
    nearest = list(_library_frames(frame_at(1)))
    for frame in nearest:
        _refuse(frame)
        # The nearest one draws the samples; a batch sampler further away deals with batches.
        if batch_size is None and (_is(frame, BATCH_SAMPLER_PASS) or _is(frame, TORCHDATA_BATCHES)):
            found = vars(frame.f_locals["self"])
            batch_size, drop_last = found["batch_size"], found["drop_last"]
        if _is(frame, LOADER_DRAWS):
            reads_ahead = _has_workers(frame)
    stranger = _stranger(nearest[-1].f_back)
    if stranger is None or _is(stranger, SKIPPED_BATCHES):
        return Drawer(batch_size, drop_last, reads_ahead)
    fetching = next((frame for frame in _callers(stranger) if _is(frame, LOADER_DRAWS)), None)
    if fetching is not None:
        return Drawer(batch_size, drop_last, _has_workers(fetching), stranger.f_code)
    is_generator = bool(stranger.f_code.co_flags & CO_GENERATOR)
    draws_samples = not in_batches and _library(nearest[-1]) == "resumable"
    return Drawer(batch_size, drop_last, reads_ahead, stranger.f_code if is_generator and draws_samples else None)


def is_asking(code: CodeType) -> bool:
    """Whether the present call is made from within that code: its own loop trains, and nothing is handed on."""
    return any(frame.f_code is code for frame in _callers(frame_at(1)))


def is_asked_by_torchdata() -> bool:
    """Return whether torchdata asks for a state: it keeps one of our iterator too, which is exact, with each batch."""
    return any(_module(frame).startswith("torchdata.") for frame in _library_frames(frame_at(1)))


def is_restored_by_torchdata() -> bool:
    """Return whether a node of torchdata's loads a state, which goes on in its epoch and does not name it."""
    return any(_is(frame, TORCHDATA_RESTORES) for frame in _library_frames(frame_at(1)))


def asking_accelerator() -> object | None:
    """Return the accelerator that has been given a loader, and now asks whether it is prepared; None if none does."""
    for frame in _library_frames(frame_at(1)):
        if _is(frame, ACCELERATE_ASKS):
            return frame.f_locals["self"]  # type: ignore[no-any-return]
    return None


def _library_frames(nearest: FrameType) -> Iterator[FrameType]:
    """Yield the frames that led to a call, the nearest first, up to the first one of the user's own code.

    Nor does it matter who reads `SkippedBatches`: who has asked for them knows him, and commits what is trained on.
    """
    for frame in _callers(nearest):
        if _library(frame) not in _LIBRARIES or _is(frame, SKIPPED_BATCHES):
            return
        yield frame


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _stranger(frame: FrameType | None) -> FrameType | None:
    """Return the frame, or the function in which it is a comprehension."""
    while frame is not None and frame.f_code.co_name in {"<listcomp>", "<genexpr>", "<setcomp>", "<dictcomp>"}:
        frame = frame.f_back
    return frame


def _has_workers(fetching: FrameType) -> bool:
    return bool(vars(fetching.f_locals["self"])[NUM_WORKERS] > 0)


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def _library(frame: FrameType) -> str:
    return _module(frame).partition(".")[0]


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
            "skip_first_batches, accelerator.load_state or sampler.start_iter sets where to go on; in a Trainer of "
            "transformers, callbacks=[TrainerPosition()] does"
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
