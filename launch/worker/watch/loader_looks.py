"""What a data loader, and the sampler in it, say of themselves."""

from __future__ import annotations

from typing import Any

import msgspec
from torch.utils.data import DataLoader

from resumable.launch.worker import torch_private
from resumable.launch.worker.strangers import asked


def looks_of(loader: DataLoader[Any]) -> dict[str, Any]:
    """The fields of a `Loader` record that describe this one."""
    iterable = torch_private.is_iterable(loader)
    sampler: Any = loader.batch_sampler if loader.batch_size is None and loader.batch_sampler else loader.sampler
    return {
        "dataset": type(loader.dataset).__qualname__,
        "num_samples": None if iterable else _length(loader.dataset),
        "num_batches": None if iterable else _length(loader),
        "batch_size": loader.batch_size,
        "sampler": type(sampler).__qualname__,
        "drop_last": bool(loader.drop_last or asked(lambda: bool(sampler.drop_last), False)),
        "num_workers": loader.num_workers,
        "prefetch_factor": loader.prefetch_factor,
    }


def epoch_state_of(sampler: Any) -> dict[str, Any] | None:
    """What a sampler says of all samples of its epoch, where it says anything that JSON can hold."""
    state = asked(lambda: dict(sampler.epoch_state_dict()), None)
    return state if asked(lambda: msgspec.json.encode(state), b"") else None


def _length(sized: Any) -> int | None:
    """`len()`, where the object has one."""
    return asked(lambda: len(sized), None)
