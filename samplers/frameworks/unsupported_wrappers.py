"""Loaders and samplers of others that draw from a resumable sampler so that no position could be exact."""

from resumable.samplers.frameworks.call_stack import callers
from resumable.samplers.frameworks.private_names import (
    ACCELERATE_LOADERS,
    FABRIC_LOADER,
    LIGHTNING_SAMPLER_WRAPPER,
)


def refuse_wrapping() -> None:
    """Raise if the present call comes from one of them.

    Raises:
        RuntimeError: it does; the message shows what to write instead.
    """
    for caller in callers():
        advice = _advice(type(caller))
        if advice is not None:
            raise RuntimeError(f"{type(caller).__module__}.{type(caller).__name__} draws from this sampler: {advice}")


def _advice(kind: type) -> str | None:
    if kind.__module__ == ACCELERATE_LOADERS:
        return (
            "it would read ahead, deal the batches out again, or skip some once more. Give accelerator.prepare a "
            "ResumableDataLoader, on several processes with a ResumableDistributedSampler; in place of "
            "skip_first_batches, accelerator.load_state or sampler.start_iter sets where to go on"
        )
    if kind.__name__ == LIGHTNING_SAMPLER_WRAPPER:
        return (
            "Lightning would read the whole epoch at once and shuffle it again. On several ranks give the loader a "
            "ResumableDistributedSampler, which Lightning leaves in place"
        )
    if kind.__name__ == FABRIC_LOADER:
        return (
            "Fabric would count the epochs from 0 again after a restart. Keep a ResumableDataLoader out of "
            "setup_dataloaders, move its batches with fabric.to_device, and save it with the model by fabric.save"
        )
    return None
