"""A data loader that knows which batches it has delivered."""

from collections.abc import Callable, Collection, Iterator, Mapping
from multiprocessing.context import BaseContext
from typing import Any, TypedDict, TypeVar, Unpack

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from resumable.samplers.epoch_pass import EpochPass
from resumable.samplers.frameworks.accelerate_adapter import AcceleratedLoader
from resumable.samplers.sampler import ResumableSampler, progress_of
from resumable.samplers.seeded import SeededDataset

_T = TypeVar("_T")


class LoaderOptions(TypedDict, total=False):
    """What `torch.utils.data.DataLoader` takes besides, with its meanings and defaults."""

    num_workers: int
    collate_fn: Callable[[list[Any]], Any]
    pin_memory: bool
    timeout: float
    worker_init_fn: Callable[[int], None]
    multiprocessing_context: BaseContext | str
    generator: torch.Generator
    prefetch_factor: int
    persistent_workers: bool
    pin_memory_device: str


class ResumableDataLoader(AcceleratedLoader, DataLoader[_T]):
    """`torch.utils.data.DataLoader` with a state that is exact however far its workers have read ahead.

    A batch counts once it was handed to the caller: take the state after the step that trained on it. Worker processes,
    `persistent_workers`, `pin_memory` and `prefetch_factor` work as ever.

    Args:
        dataset: A map-style data set.
        batch_size: Samples in a batch. It must be the sampler's, which is meant by None.
        sampler: Any resumable sampler.
        drop_last: Whether a last batch that is not full is dropped.
        in_order: Must stay True.
        **options: See `LoaderOptions`; `shuffle` and `batch_sampler` are the sampler's business.

    Raises:
        TypeError: the data set or the sampler is of a kind whose position cannot be exact.
        ValueError: the sampler counts in batches of a different size, or batches would come out of order.
    """

    sampler: ResumableSampler

    def __init__(
        self,
        dataset: Dataset[_T],
        batch_size: int | None = None,
        *,
        sampler: ResumableSampler,
        drop_last: bool = False,
        in_order: bool = True,
        **options: Unpack[LoaderOptions],
    ) -> None:
        _check(dataset, sampler, batch_size=batch_size, in_order=in_order)
        super().__init__(dataset, batch_size=sampler.batch_size, sampler=sampler, drop_last=drop_last, **options)
        if drop_last:
            progress_of(sampler).deal_whole_batches()
        if isinstance(dataset, SeededDataset):
            sampler.mark_epochs()

    def __iter__(self) -> "Delivery[_T]":  # type: ignore[override]
        """Begin a pass at the position of the sampler."""
        return Delivery(self)

    def batches(self) -> Iterator[_T]:
        """Return torch's own iterator over a new pass, which counts nothing."""
        return self.accelerated(super().__iter__)

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch of the next pass; see `ResumableSampler.set_epoch`."""
        self.sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the position behind the last batch that was delivered."""
        return self.sampler.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any], *, allow: Collection[str] = ()) -> None:
        """Let the next pass go on from a state; see `ResumableSampler.load_state_dict`."""
        self.sampler.load_state_dict(state_dict, allow=allow)


class Delivery(Iterator[_T]):
    """One pass over a loader, counting the batches that it hands out.

    It begins when the first batch is asked for. Lightning takes the iterator of a resumed epoch before it names that
    epoch; workers that drew at once would draw from the epoch before.
    """

    def __init__(self, loader: ResumableDataLoader[_T]) -> None:
        self._loader = loader
        self._batches: Iterator[_T] | None = None
        self._pass: EpochPass | None = None

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""
        return len(self._loader)

    def __next__(self) -> _T:
        if self._batches is None:
            self._batches = self._loader.batches()
        try:
            batch = next(self._batches)
        finally:
            # In any case: a batch that could not be loaded was drawn, but was not delivered.
            self._count(0)
        self._count(1)
        return batch

    def _count(self, num_batches: int) -> None:
        self._pass = self._pass or progress_of(self._loader.sampler).current_pass
        if self._pass is not None:
            self._pass.commit(num_batches)


def _check(dataset: object, sampler: object, *, batch_size: int | None, in_order: bool) -> None:
    """Refuse what cannot be made exact, with the reason."""
    if isinstance(dataset, IterableDataset):
        raise TypeError(
            f"dataset={type(dataset).__name__}: an iterable data set decides its own order, so that a position in a "
            "sampler's order says nothing about it; a map-style data set is needed"
        )
    if not isinstance(sampler, ResumableSampler):
        raise TypeError(
            f"sampler={type(sampler).__name__}: expected one of this package's samplers, on several ranks "
            "ResumableDistributedSampler: a different one may be replaced by a framework's own"
        )
    if batch_size not in (None, sampler.batch_size):
        raise ValueError(
            f"batch_size={batch_size!r}: the sampler counts in batches of {sampler.batch_size}; give it this size"
        )
    if in_order is not True:
        raise ValueError(
            f"in_order={in_order!r}: batches that come as workers finish leave holes behind the last one delivered, "
            "which no single position can describe"
        )
