"""What a data loader, and the sampler in it, say of themselves."""

from __future__ import annotations

from typing import Any

import msgspec

from resumable.launch.worker import torch_private
from resumable.launch.worker.strangers import asked


def looks_of(loader: Any) -> dict[str, Any]:
    """The fields of a `Loader` record that describe this one, which may only have what torch's iterators ask of it."""
    iterable = torch_private.is_iterable(loader)
    dataset, batch_size = getattr(loader, "dataset", None), getattr(loader, "batch_size", None)
    batch_sampler = getattr(loader, "batch_sampler", None)
    sampler: Any = batch_sampler if batch_size is None and batch_sampler else getattr(loader, "sampler", None)
    return {
        "dataset": type(dataset).__qualname__,
        "num_samples": None if iterable else _length(dataset),
        "num_batches": None if iterable else _length(loader),
        "batch_size": batch_size,
        "sampler": type(sampler).__qualname__,
        "drop_last": bool(getattr(loader, "drop_last", False) or asked(lambda: bool(sampler.drop_last), False)),
        "num_workers": getattr(loader, "num_workers", 0),
        "prefetch_factor": getattr(loader, "prefetch_factor", None),
    }


def epoch_state_of(sampler: Any) -> dict[str, Any] | None:
    """What a sampler says of all samples of its epoch, where it says anything that JSON can hold."""
    state = asked(lambda: dict(sampler.epoch_state_dict()), None)
    return state if asked(lambda: msgspec.json.encode(state), b"") else None


def _length(sized: Any) -> int | None:
    """`len()`, where the object has one."""
    return asked(lambda: len(sized), None)
