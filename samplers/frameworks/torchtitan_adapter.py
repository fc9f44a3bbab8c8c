"""torchtitan: a loader in the place of its own, which goes on with a different number of data-parallel ranks."""

from collections.abc import Iterator
from typing import Generic, TypeVar, Unpack

from torch.utils.data import Dataset

from resumable.samplers.checkpoint import as_dcp
from resumable.samplers.distributed import ResumableDistributedSampler
from resumable.samplers.loader import LoaderOptions, ResumableDataLoader
from resumable.samplers.orders import Endless, OrderLike

_T = TypeVar("_T")
_ORDER = Endless("randperm")


class DataParallelLoader(Generic[_T]):
    """Stands in for torchtitan's `ParallelAwareDataloader`, over a map-style data set.

    torchtitan reads batches until its steps are done, saves the loader with the model through
    `torch.distributed.checkpoint`, and refuses a checkpoint of a different data-parallel degree. This one's state is one
    position, the same on all ranks: any degree writes it, and any other goes on from it, as any object that has
    `state_dict` and `load_state_dict` (a `Stateful`). What counts is what was handed to the loop.

    Args:
        dataset: A map-style data set, of as many samples on each rank.
        dp_rank: This rank's data-parallel coordinate; ranks of one model (tensor, context, pipeline parallel) share it.
        dp_world_size: The data-parallel degree.
        batch_size: Samples in a rank's batch.
        seed: Seed of the order, the same on all ranks.
        order: Order of the samples: its name, or an order. By default there are no epochs.
        **options: See `LoaderOptions`.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or no such order exists.
    """

    def __init__(
        self,
        dataset: Dataset[_T],
        dp_rank: int,
        dp_world_size: int,
        batch_size: int,
        *,
        seed: int = 0,
        order: OrderLike = _ORDER,
        **options: Unpack[LoaderOptions],
    ) -> None:
        sampler = ResumableDistributedSampler(
            dataset, dp_world_size, dp_rank, seed=seed, batch_size=batch_size, order=order
        )
        self._loader = ResumableDataLoader(dataset, sampler=sampler, **options)
        self._position = as_dcp(self._loader)

    def __iter__(self) -> Iterator[_T]:
        """Go on at the position."""
        return iter(self._loader)

    def state_dict(self) -> dict[str, str]:
        """Return the position behind the last batch that was handed out, as one leaf of a checkpoint."""
        return self._position.state_dict()

    def load_state_dict(self, state_dict: dict[str, str]) -> None:
        """Go on from a position.

        Raises:
            StateFormatError: there is none, or it is damaged.
            StateMismatchError: it is of a different stream.
        """
        self._position.load_state_dict(state_dict)
