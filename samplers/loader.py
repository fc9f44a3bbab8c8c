"""A data loader that knows which batches it has delivered."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from multiprocessing.context import BaseContext
from typing import Any, TypedDict, TypeVar, Unpack

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from resumable.samplers.batches import ResumableBatchSampler, latest_pass_of
from resumable.samplers.epoch_pass import EpochPass
from resumable.samplers.frameworks.accelerate_adapter import AcceleratedLoader
from resumable.samplers.progress import Progress
from resumable.samplers.sampler import ResumableSampler, progress_of
from resumable.samplers.seeded import is_seeded

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

    A batch counts once it was handed to the caller: take the state after the step that trained on it. Only what this loader
    hands out counts: looking at the sampler moves nothing. A batch that cannot be loaded raises, and does not count; if
    the loop goes on behind it, it is over, and listed in the state as `skipped`. Worker processes, `persistent_workers`,
    `pin_memory` and `prefetch_factor` work as ever. The global random state stays as it is when a pass begins: workers
    are seeded from `torch.initial_seed()`, the rank and the epoch, unless there is a `generator`.

    Args:
        dataset: A map-style data set.
        batch_size: Samples in a batch. It must be the sampler's, which is meant by None.
        sampler: Any resumable sampler.
        batch_sampler: A `ResumableBatchSampler` in place of batch size, sampler and `drop_last`.
        drop_last: Whether a last batch that is not full is dropped.
        in_order: Must stay True.
        **options: See `LoaderOptions`; `shuffle` is the sampler's business.

    Raises:
        TypeError: the data set or the sampler is of a kind whose position cannot be exact.
        ValueError: the sampler counts in batches of a different size, or batches would come out of order.
    """

    sampler: ResumableSampler
    batch_sampler: ResumableBatchSampler

    def __init__(
        self,
        dataset: Dataset[_T],
        batch_size: int | None = None,
        *,
        sampler: ResumableSampler | None = None,
        batch_sampler: ResumableBatchSampler | None = None,
        drop_last: bool = False,
        in_order: bool = True,
        **options: Unpack[LoaderOptions],
    ) -> None:
        _check(dataset, in_order=in_order)
        batches = _batches(sampler, batch_sampler, batch_size=batch_size, drop_last=drop_last)
        self._seeds_workers = options.get("generator") is None
        options["generator"] = options.get("generator") or torch.Generator()
        super().__init__(
            dataset, batch_size=batches.batch_size, sampler=batches.sampler, drop_last=batches.drop_last, **options
        )
        # Torch has put a batch sampler of its own around, and takes no other together with a batch size, which frameworks
        # ask a loader for.
        vars(self)["batch_sampler"] = batches
        self._progress = progress_of(batches.sampler)
        self._progress.passes.has_loader = True
        if is_seeded(dataset):
            self._progress.mark_epochs()

    def __iter__(self) -> "Delivery[_T]":  # type: ignore[override]
        """Begin a pass at the position of the sampler."""
        return Delivery(self)

    @property
    def epoch(self) -> int:
        """Epoch of the next pass, or of the one under way."""
        return self._progress.epoch

    @property
    def start_iter(self) -> int:
        """Batch of the epoch with which the next pass begins; see `ResumableSampler.start_iter`."""
        return self._progress.start_iter

    @start_iter.setter
    def start_iter(self, start_iter: int) -> None:
        self._progress.skip_to_batch(start_iter)

    @property
    def remaining(self) -> int:
        """Number of batches that this rank has left in the epoch."""
        return self.batch_sampler.remaining

    def begin_pass(self) -> tuple[Iterator[_T], EpochPass]:
        """Return torch's own iterator over a new pass, which counts nothing, and that pass."""
        self.name_next_epoch()
        self.seed_workers()
        batches = super().__iter__()
        epoch_pass = latest_pass_of(self.batch_sampler)
        assert epoch_pass is not None
        return self.accelerated(batches, epoch_pass), epoch_pass

    def seed_workers(self) -> None:
        """Seed what the workers of the next pass are seeded from, unless a generator was given."""
        if self._seeds_workers:
            self.generator.manual_seed(_worker_seed(self._progress))

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch of the next pass; see `ResumableSampler.set_epoch`."""
        self.sampler.set_epoch(epoch)

    def commit(self, num_batches: int | Iterable[int] = 1) -> None:
        """Record what was trained on; from then on delivered ones are not counted by themselves.

        For loops that take batches long before they train on them. See `ResumableSampler.commit`.
        """
        self._progress.commit(num_batches)

    def state_dict(self) -> dict[str, Any]:
        """Return the position behind the last batch that was delivered to the loop which trains.

        Raises:
            PositionUnknownError: several passes are under way, or were broken off, and nothing shows which one trains.
        """
        return self._progress.state()

    def load_state_dict(self, state_dict: Mapping[str, Any], *, allow: Collection[str] = ()) -> None:
        """Let the next pass go on from a state; see `ResumableSampler.load_state_dict`."""
        self._progress.load(state_dict, allow=allow)


class Delivery(Iterator[_T]):
    """One pass over a loader, counting the batches that it hands out.

    It begins when the first batch is asked for. Lightning takes the iterator of a resumed epoch before it names that
    epoch; workers that drew at once would draw from the epoch before.
    """

    def __init__(self, loader: ResumableDataLoader[_T]) -> None:
        self._loader = loader
        self._batches: Iterator[_T] | None = None
        self._pass: EpochPass | None = None
        self._num_failed = 0

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""
        return len(self._loader)

    def __next__(self) -> _T:
        if self._batches is None or self._pass is None:
            self._batches, self._pass = self._loader.begin_pass()
            self._pass.begin_delivery(self)
        try:
            batch = next(self._batches)
        except StopIteration:
            # Only where everything was drawn: accelerate's way of handing on ends with the first failure.
            if self._pass.drawn_batches <= self._pass.delivered_batches + self._num_failed:
                self._pass.leave_out(self._num_failed)
                self._num_failed = 0
            raise
        except Exception:
            # It was drawn, and not delivered. Whether the loop goes on behind it, its next call shows.
            self._num_failed += 1
            raise
        self._pass.deliver(num_failed=self._num_failed)
        self._num_failed = 0
        return batch


def _check(dataset: object, *, in_order: bool) -> None:
    """Refuse what cannot be made exact, with the reason."""
    if isinstance(dataset, IterableDataset):
        raise TypeError(
            f"dataset={type(dataset).__name__}: an iterable data set decides its own order, so that a position in a "
            "sampler's order says nothing about it; a map-style data set is needed"
        )
    if in_order is not True:
        raise ValueError(
            f"in_order={in_order!r}: batches that come as workers finish leave holes behind the last one delivered, "
            "which no single position can describe"
        )


def _batches(
    sampler: ResumableSampler | None,
    batch_sampler: ResumableBatchSampler | None,
    *,
    batch_size: int | None,
    drop_last: bool,
) -> ResumableBatchSampler:
    if batch_sampler is None:
        if not isinstance(sampler, ResumableSampler):
            raise TypeError(
                f"sampler={type(sampler).__name__}: expected one of this package's samplers, on several ranks "
                "ResumableDistributedSampler: a different one may be replaced by a framework's own"
            )
        return ResumableBatchSampler(sampler, batch_size, drop_last)
    if not isinstance(batch_sampler, ResumableBatchSampler):
        raise TypeError(f"batch_sampler={type(batch_sampler).__name__}: expected a ResumableBatchSampler")
    if sampler is not None or batch_size is not None or drop_last:
        raise ValueError("batch_sampler stands in place of batch_size, sampler and drop_last: give it alone")
    return batch_sampler


def _worker_seed(progress: Progress) -> int:
    """A seed for a pass's workers: it differs between ranks and epochs, and follows the process's seed."""
    values = torch.initial_seed(), progress.config.rank, progress.epoch
    digest = hashlib.blake2b(repr(values).encode(), digest_size=7, person=b"workers/1").digest()
    return int.from_bytes(digest, "little")
