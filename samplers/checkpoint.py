"""A sampler as part of a `torch.distributed.checkpoint`."""

import json
from typing import Any

from resumable.samplers.batches import ResumableBatchSampler
from resumable.samplers.errors import StateFormatError
from resumable.samplers.loader import ResumableDataLoader
from resumable.samplers.sampler import ResumableSampler

_LEAF = "resumable_sampler"

Resumable = ResumableSampler | ResumableBatchSampler | ResumableDataLoader[Any]
"""Everything that has a sampler's state."""


class CheckpointedSampler:
    """What `as_dcp` returns: a `Stateful` of exactly one leaf, a JSON string.

    `torch.distributed.checkpoint` loads into the leaves that a template names: from an empty one it restores nothing
    and calls that success, and a leaf that a newer version adds makes all old checkpoints unloadable. One string that
    is always there avoids both; what it holds has a version of its own.
    """

    def __init__(self, sampler: Resumable) -> None:
        self._sampler = sampler

    def state_dict(self) -> dict[str, str]:
        """Return the sampler's state as one string."""
        return {_LEAF: json.dumps(self._sampler.state_dict())}

    def load_state_dict(self, state_dict: dict[str, str]) -> None:
        """Go on from a state; see `ResumableSampler.load_state_dict`.

        Raises:
            StateFormatError: there is no such leaf, or it is damaged.
            StateMismatchError: the state is of a different stream.
        """
        try:
            state = json.loads(state_dict[_LEAF])
        except (KeyError, TypeError, ValueError) as error:
            raise StateFormatError(f"damaged sampler state in a checkpoint: {error!r}") from error
        self._sampler.load_state_dict(state)


def as_dcp(sampler: Resumable) -> CheckpointedSampler:
    """Wrap a sampler, batch sampler or loader for `torch.distributed.checkpoint`.

    The state is the same on every rank, so that it does not matter which of them writes it, or how many read it.

    Example:
        >>> dcp.save({"model": model_state, "data": as_dcp(sampler)}, checkpoint_id=path)
    """
    return CheckpointedSampler(sampler)
