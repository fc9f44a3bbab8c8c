"""The base of all samplers: one canonical stream an epoch, a cursor, and this rank's share of what is left."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from torch.utils.data import Sampler

from resumable.samplers.arguments import DropLast, integer, optional_text
from resumable.samplers.callers import inside_prefetching_loader
from resumable.samplers.cursor import Cursor
from resumable.samplers.dealer import Dealer
from resumable.samplers.iterator import SamplerIterator
from resumable.samplers.orders import Order
from resumable.samplers.state import LIMIT, Layout, StreamSpec
from resumable.samplers.walk import Walk


class ResumableSampler(Sampler[int]):
    """A sampler that can stop after any batch and continue exactly, on the same or another number of ranks.

    Epoch `e` has one stream of samples that depends on order, seed, epoch and length alone. Progress is a position in
    it, in samples of all ranks together. From position `G` rank `r` of `W` reads every `W`-th sample, beginning with
    `G + r`; so global batch `k` is the same set of samples whatever `W` is, as long as `W * batch_size` stays.

    The epoch changes by `set_epoch` and by nothing else, as with torch's `DistributedSampler`: without it every pass
    has the same order, and going over a sampler twice, to look at it or to count, moves nothing. Call `set_epoch` at
    the head of each epoch.

    Constructing costs nothing that grows with the number of samples.

    Args:
        order: How the samples of an epoch are arranged.
        num_samples: Length of an epoch's stream, `0 <= num_samples < 2**62`.
        seed: Seed of the order.
        shuffle: Whether the order changes from epoch to epoch; said in the state.
        drop_last: False pads a last row of samples that does not suffice for all ranks, True drops it, `"global"` drops
            a last global batch that is not full.
        num_replicas: Number of ranks.
        rank: This rank, `0 <= rank < num_replicas`.
        batch_size: Samples in a rank's batch.
        dataset_fingerprint: A mark of the data set's content; a state with another one is refused.

    Raises:
        TypeError: an argument is of the wrong type; the message names it and its value.
        ValueError: an argument is out of range.
    """

    # Assigning the epoch must work before __init__ has run: DistributedSampler's constructor does it.
    _cursor = Cursor()

    def __init__(
        self,
        order: Order,
        *,
        num_samples: int,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: DropLast = False,
        num_replicas: int = 1,
        rank: int = 0,
        batch_size: int = 1,
        dataset_fingerprint: str | None = None,
    ) -> None:
        # NumPy's integers become plain ones here: a state must go through JSON.
        self._dealer = Dealer(
            order=order,
            spec=StreamSpec(
                order=order.name,
                seed=integer("seed", seed, low=-LIMIT, high=LIMIT),
                shuffle=shuffle,
                num_samples=integer("num_samples", num_samples, low=0, high=LIMIT),
                drop_last=drop_last,
            ),
            layout=Layout(
                num_replicas=integer("num_replicas", num_replicas, low=1, high=LIMIT),
                batch_size=integer("batch_size", batch_size, low=1, high=LIMIT),
            ),
            rank=integer("rank", rank, low=0, high=num_replicas),
            dataset_fingerprint=optional_text("dataset_fingerprint", dataset_fingerprint),
            kind=type(self).__name__,
        )
        self._cursor = Cursor()
        self._walk: Walk | None = None
        self._warned = False

    def __len__(self) -> int:
        """Return the number of samples that this rank reads in a whole epoch, whatever was skipped."""
        return self._dealer.share(0).num_rows

    def __iter__(self) -> SamplerIterator:
        """Begin a pass at the position of the sampler; beginning one, or breaking one off, does not move it."""
        return SamplerIterator.over(self, self._begin(self._settled()))

    @property
    def epoch(self) -> int:
        """Epoch of the next pass, or of the one under way. Assigning another one is `set_epoch`."""
        return self._cursor.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        if epoch != self._cursor.epoch:
            self.set_epoch(epoch)

    @property
    def batch_size(self) -> int:
        """Number of samples in a rank's batch: the unit of `start_iter` and `commit`."""
        return self._dealer.layout.batch_size

    @property
    def dealt_to(self) -> tuple[int, int]:
        """The rank that this sampler deals to, and the number of ranks."""
        return self._dealer.rank, self._dealer.layout.num_replicas

    @property
    def start_iter(self) -> int:
        """Batch of the epoch with which the next pass begins, `0 <= start_iter <= number of batches`.

        Assigned, it holds for one epoch: the one that the next `set_epoch` names or, without one, that of the next
        pass. `set_epoch` with another epoch and a pass that was read to its end clear it. The number of batches
        itself leaves an empty rest. A loaded position inside a batch counts as that batch.

        Raises:
            TypeError: no integer was assigned.
            ValueError: it is negative or beyond the epoch.
        """
        consumed = self._settled().begin(self._dealer.num_samples).consumed
        if consumed == self._dealer.num_samples:
            return self._num_batches
        return consumed // (self._dealer.layout.batch_size * self._dealer.layout.num_replicas)

    @start_iter.setter
    def start_iter(self, start_iter: int) -> None:
        num_batches = integer("start_iter", start_iter, low=0, high=self._num_batches + 1)
        consumed = self._dealer.share(0).consumed(num_batches * self._dealer.layout.batch_size) if num_batches else 0
        self._cursor, self._walk = self._settled().skip_to(consumed), None

    @property
    def remaining(self) -> int:
        """Number of samples that this rank has left in the epoch, from the position that `state_dict()` gives."""
        if self._walk is not None and self._walk.begun:
            return self._walk.num_remaining
        return self._dealer.share(self._cursor.consumed).num_rows

    @property
    def latest_walk(self) -> Walk | None:
        """The latest pass, for loaders that count for themselves; None before the first and after a load."""
        return self._walk

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch of the next pass.

        The same epoch keeps the position, another one begins at its start.

        Raises:
            TypeError: `epoch` is no integer.
            ValueError: `epoch` is negative.
            StateMismatchError: a state was loaded that stands in another epoch.
        """
        epoch = integer("epoch", epoch, low=0, high=LIMIT)
        self._cursor = self._settled().set_epoch(epoch, self._dealer.num_samples)
        if self._walk is not None and self._walk.epoch != epoch:
            self._walk = None

    def advance(self) -> None:
        """Name the next epoch if the latest was read to its end, and none was named since; for loops that name none."""
        self._cursor, self._walk = self._settled().advance(self._dealer.num_samples), None

    def deal_whole_batches(self) -> None:
        """Deal out no last batch that is not full, from the next pass on; for a loader that would drop it.

        The end of the epoch is then the last full batch: a state taken behind that has nothing left of the epoch.
        """
        self._dealer = replace(self._dealer, whole_batches=True)

    def mark_epochs(self) -> None:
        """Let each index carry its epoch, from the next pass on; a `SeededDataset` asks for it.

        Samplers that are made for a `SeededDataset`, and those in a `ResumableDataLoader` over one, do so by
        themselves.
        """
        self._dealer = replace(self._dealer, marks_epochs=True)

    def is_padding(self, batch: int) -> list[bool]:
        """Say which samples of a batch are there only because all ranks must read equally much.

        A metric that leaves them out counts every sample once. Padding is at most one sample a rank, in its last batch.

        Args:
            batch: Number of this rank's batch, counted from 0 in the latest pass.

        Returns:
            One value for each sample of the batch, in its order.

        Raises:
            TypeError: `batch` is no integer.
            ValueError: it is negative, or no pass was begun.
        """
        batch = integer("batch", batch, low=0, high=LIMIT)
        if self._walk is None:
            raise ValueError(f"batch={batch}: no pass was begun since the position was set")
        return self._walk.is_padding(batch)

    def commit(self, num_batches: int = 1) -> None:
        """Say that `num_batches` more batches of the pass were trained on; call it after the optimizer's step.

        Once it was called in a pass, `state_dict()` gives the committed position, however far a loader has read ahead.

        Raises:
            TypeError: `num_batches` is no integer.
            ValueError: it is negative, or so many batches were not drawn.
        """
        num_batches = integer("num_batches", num_batches, low=0, high=LIMIT)
        if self._walk is None:
            raise ValueError(
                f"num_batches={num_batches}: no batch was drawn since the position was set; was the epoch named after "
                "the loader's iterator was made?"
            )
        self._walk.commit(num_batches)

    def state_dict(self) -> dict[str, Any]:
        """Return the position: what was committed in this pass or, without `commit`, what was drawn.

        The same on all ranks that have trained on equally many batches. See `SamplerState` for what it holds.

        Warns:
            UserWarning: once, if a loader with worker processes draws from this sampler, so that what was drawn is not
                what was trained on, and `commit` was not called.
        """
        if self._walk is None or not self._walk.begun:
            return self._dealer.state(self._cursor.epoch, self._cursor.consumed).to_dict()
        # A loader that keeps a state with each batch asks from within, and knows what it does.
        if self._walk.uncertain and not self._warned and not inside_prefetching_loader():
            self._warned = True
            warnings.warn(
                "the loader's workers have read ahead, so this state may be beyond the last batch that was trained on: "
                "call sampler.commit() after each step, or use ResumableDataLoader",
                stacklevel=2,
            )
        return self._dealer.state(self._walk.epoch, self._walk.consumed).to_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any], *, allow: Collection[str] = ()) -> None:
        """Go on from a state; the number of ranks and the batch size may have changed.

        `set_epoch` may come before or after, with the state's epoch or, if the state stands at the end of its epoch,
        with the next one. Loading twice equals loading once.

        Args:
            state_dict: What `state_dict()` gave, on any rank. It is not changed.
            allow: Fields that may differ, as `"stream.num_samples"`; each then warns.

        Raises:
            StateFormatError: the state is damaged, or of a newer version.
            StateMismatchError: it is of another stream, or of another epoch than `set_epoch` has named; the message
                names every field that differs, with both values.
        """
        self._cursor, self._walk = self._loaded(self._settled(), state_dict, allow), None

    def state_of(self, walk: Walk) -> dict[str, Any]:
        """Return the position up to which one pass was drawn; for the pass's own iterator."""
        return self._dealer.state(walk.epoch, walk.drawn).to_dict()

    def rewalk(self, walk: Walk, state_dict: Mapping[str, Any], *, allow: Collection[str] = ()) -> Walk:
        """Begin a pass anew from a state; for the pass's own iterator."""
        return self._begin(self._loaded(walk.origin, state_dict, allow))

    @property
    def _num_batches(self) -> int:
        return -(-len(self) // self._dealer.layout.batch_size)

    def _settled(self) -> Cursor:
        """The cursor as the latest pass leaves it."""
        if self._walk is None or not self._walk.begun:
            return self._cursor
        if self._walk.read_ahead and self._walk.empty and self._cursor.declared:
            # StatefulDataLoader restores a finished epoch with an iterator that it throws away: its workers ask an
            # empty pass for samples that no loop has asked for, which must not end the epoch that set_epoch has named.
            return self._cursor
        drawn = self._cursor.draw()
        return drawn.finish(self._dealer.num_samples) if self._walk.ended else drawn

    def _begin(self, cursor: Cursor) -> Walk:
        self._cursor = cursor.begin(self._dealer.num_samples)
        self._walk = Walk(
            origin=cursor,
            epoch=self._cursor.epoch,
            share=self._dealer.share(self._cursor.consumed),
            stream=self._dealer.stream(self._cursor.epoch),
            marks_epoch=self._dealer.marks_epochs,
        )
        return self._walk

    def _loaded(self, cursor: Cursor, state_dict: Mapping[str, Any], allow: Collection[str]) -> Cursor:
        epoch, consumed = self._dealer.position(state_dict, allow=allow)
        return cursor.load(epoch=epoch, consumed=consumed, num_samples=self._dealer.num_samples)
