"""Where a sampler stands: its cursor and the passes over it, for the sampler itself and for the loaders around it."""

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from resumable.samplers.arguments import integer, samples_of
from resumable.samplers.config import SamplerConfig
from resumable.samplers.cursor import Cursor
from resumable.samplers.deal import Deal
from resumable.samplers.epoch_pass import EpochPass
from resumable.samplers.errors import PositionUnknownError
from resumable.samplers.finished import NOTHING, Finished
from resumable.samplers.frameworks.drawing import drawer, is_asked_by_torchdata, is_restored_by_torchdata
from resumable.samplers.loading import loadable
from resumable.samplers.passes import Passes
from resumable.samplers.state import LIMIT
from resumable.samplers.training_pass import doubt


class Progress:
    """The moving part of a sampler.

    `ResumableSampler` shows its users what they need of it; iterator, batch sampler, loader and adapters work with this
    object itself. Beginning a pass moves nothing: the cursor stands where it was set, and what the pass that trains has
    made of it is worked out when somebody asks.
    """

    def __init__(self, config: SamplerConfig) -> None:
        self.config = config
        self.passes = Passes()
        """Those that have drawn since the cursor was set."""
        self._cursor = Cursor()
        self._latest: EpochPass | None = None
        self._num_moves = 0
        self._skipped: Sequence[int] = ()
        self._counts_in_batches = False
        self._warned = False

    @property
    def groups_are_batches(self) -> bool:
        """Whether what is dealt out are batches, not samples."""
        return self.config.groups is not None and self.config.groups.is_batch

    @property
    def epoch(self) -> int:
        """Epoch of the next pass, or of the one under way."""
        return self._cursor.epoch

    @property
    def start_iter(self) -> int:
        """Batch of the epoch with which the next pass begins."""
        cursor = self._cursor_now()
        begun = cursor.begin(self._length(cursor))
        if not begun.consumed:
            return 0
        if begun.consumed == self._length(begun):
            return self.config.num_batches(begun.epoch)
        return self.config.deal(begun.epoch, 0).rows_before(begun.consumed) // self.config.layout.batch_size

    @property
    def num_in_epoch(self) -> int:
        """Number of items that this rank reads in the whole of the present epoch.

        Raises:
            TypeError: it does not end.
        """
        if self.config.is_endless:
            raise TypeError("an endless order has no length: count its steps")
        return self.config.num_rows(self.epoch)

    @property
    def num_remaining(self) -> int:
        """Number of samples that this rank has left in the epoch, from the position that `state` gives.

        Raises:
            TypeError: there is no end.
        """
        if self.config.is_endless:
            raise TypeError("an endless order has no end: nothing is left of it")
        current = self.passes.training()
        if current is None:
            return self._deal(self._cursor).num_rows
        return current.num_remaining

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch of the next pass."""
        cursor = self._cursor_now()
        # A run without epochs goes on whatever a framework counts.
        epoch = 0 if self.config.is_endless else epoch
        if epoch != cursor.epoch:
            self.passes.refuse_to_leave()
        moved = cursor.set_epoch(epoch, self._length(cursor))
        if epoch != cursor.epoch:
            self._move(moved)
            return
        self._cursor = moved
        self.passes.note_set_epoch()

    def skip_to_batch(self, start_iter: int) -> None:
        """Begin the next pass with a batch of the epoch."""
        cursor = self._cursor_now()
        num_batches = integer("start_iter", start_iter, low=0, high=self.config.num_batches(cursor.epoch) + 1)
        deal = self.config.deal(cursor.epoch, 0)
        self._move(cursor.skip_to(deal.consumed(num_batches * deal.batch_size) if num_batches else 0))
        self._counts_in_batches = num_batches > 0

    def skip_to(self, start_index: int) -> None:
        """Begin the next pass behind so many samples of the epoch."""
        cursor = self._cursor_now()
        self._move(cursor.skip_to(integer("start_index", start_index, low=0, high=self._length(cursor) + 1)))

    def advance(self) -> None:
        """Name the next epoch if the latest was read to its end, and none was named since; for loops that name none."""
        cursor = self._cursor_now()
        self.passes.refuse_to_leave(only_drawn=True)
        moved = cursor.advance(self._length(cursor))
        if moved.epoch != cursor.epoch:
            self._move(moved)

    def deal_whole_batches(self) -> None:
        """Deal out no last batch that is not full, from the next pass on; for a loader that would drop it.

        The end of the epoch is then the last full batch: a state taken behind that has nothing left of the epoch.
        """
        self.config = replace(self.config, whole_batches=True)

    def mark_epochs(self) -> None:
        """Let each index carry its epoch, from the next pass on."""
        self.config = replace(self.config, marks_epochs=True)

    def begin_pass(self) -> EpochPass:
        """Begin a pass at the present position."""
        cursor = self._cursor_now()
        begun = cursor.begin(self._length(cursor))
        self._latest = EpochPass(
            origin=cursor,
            num_moves=self._num_moves,
            epoch=begun.epoch,
            deal=self._deal(begun),
            marks_epoch=self.config.marks_epochs,
        )
        return self._latest

    def restart_pass(
        self, epoch_pass: EpochPass, state_dict: Mapping[str, Any], *, allow: Collection[str] = ()
    ) -> EpochPass:
        """Begin a pass again from a state, as if that had been loaded before it began."""
        self._load(epoch_pass.origin, state_dict, allow)
        return self.begin_pass()

    def begin_drawing(self, epoch_pass: EpochPass, *, in_batches: bool) -> None:
        """Take note of a pass that is about to draw its first sample, by itself or in a batch of ours.

        Raises:
            RuntimeError: a framework's wrapper draws through which no position could be exact.
            ValueError: the loader's batches are of a different size, and something was counted in the sampler's.
        """
        found = drawer(in_batches=in_batches)
        size = self.config.layout.batch_size
        if found.batch_size not in (None, size) and (self._counts_in_batches or self.config.spec.drop_last == "global"):
            raise ValueError(
                f"batch_size={found.batch_size} in the loader, but the sampler, where start_iter and drop_last='global' "
                f"count in batches, has batch_size={size}: give it the loader's"
            )
        if self.groups_are_batches and found.batch_size is not None:
            raise ValueError(
                "the sampler makes the batches, and the loader makes batches of them: give it as "
                "batch_sampler=ResumableBatchSampler(sampler)"
            )
        epoch_pass.begin_drawing(found)
        if epoch_pass.num_moves == self._num_moves:
            self.passes.add(epoch_pass)

    def commit(self, done: int | Iterable[int]) -> None:
        """Note that so many more batches of the pass that trains were trained on, or these samples of it."""
        samples = samples_of("samples", done)
        num_batches = integer("num_batches", done, low=0, high=LIMIT) if samples is None else 0
        epoch_pass = self.passes.to_commit()
        if epoch_pass is None:
            raise ValueError(
                f"commit({done!r}): no batch was drawn since the position was set; was the epoch named after the loader's "
                "iterator was made?"
            )
        if samples is None:
            epoch_pass.commit(num_batches)
        else:
            epoch_pass.finish(samples)

    def is_padding(self, batch: int) -> list[bool]:
        """Return which samples of a batch of the latest pass are padding."""
        batch = integer("batch", batch, low=0, high=LIMIT)
        if self._latest is None:
            raise ValueError(f"batch={batch}: no pass was begun since the position was set")
        return self._latest.is_padding(batch)

    def state(self) -> dict[str, Any]:
        """Return the position of the pass that trains: what was committed in it, else delivered, else drawn."""
        try:
            current = self.passes.training()
        except PositionUnknownError:
            if not is_asked_by_torchdata():
                raise
            current = self.passes.likely()
        if current is None:
            return self.config.state(self._cursor.epoch, self._cursor.consumed, self._skipped, self._cursor.finished)
        if current.is_out_of_order and self.config.layout.num_replicas > 1:
            raise PositionUnknownError(
                "this rank commits samples in an order of its own, so that what it has finished says nothing of what the "
                f"{self.config.layout.num_replicas} ranks have: save joint_state(sampler), which all ranks call"
            )
        if not self._warned and not is_asked_by_torchdata():
            why = doubt(current)
            self._warned = why is not None
            if why:
                warnings.warn(f"this state may be beyond the last batch that was trained on: {why}", stacklevel=3)
        consumed, finished = current.place()
        return self.config.state(current.epoch, consumed, self._skipped_with(current), finished)

    def part(self) -> tuple[dict[str, Any], Finished]:
        """Return where the pass that trains began, and which of this rank's items from there on are committed."""
        current = self.passes.training()
        if current is None:
            cursor = self._cursor
            return self.config.state(cursor.epoch, cursor.consumed, self._skipped, cursor.finished), NOTHING
        began = self.config.state(current.epoch, current.start, self._skipped_with(current), current.finished_before)
        return began, current.rows_finished

    def state_with(self, numbers: Finished) -> dict[str, Any]:
        """Return the state if all ranks together have finished items of these numbers, counted from the pass's start on."""
        current = self.passes.training()
        if current is None:
            consumed, finished = self._deal(self._cursor).with_finished(numbers)
            return self.config.state(self._cursor.epoch, consumed, self._skipped, finished)
        consumed, finished = current.place_with(numbers)
        return self.config.state(current.epoch, consumed, self._skipped_with(current), finished)

    def state_of(self, epoch_pass: EpochPass) -> dict[str, Any]:
        """Return the position up to which one pass was drawn."""
        consumed, finished = epoch_pass.place_drawn()
        return self.config.state(epoch_pass.epoch, consumed, self._skipped_with(epoch_pass), finished)

    def load(self, state_dict: Mapping[str, Any], *, allow: Collection[str] = ()) -> None:
        """Let the next pass go on from a state."""
        self._load(self._cursor_now(), state_dict, allow)
        if is_restored_by_torchdata():
            self.set_epoch(self.epoch)

    def _cursor_now(self) -> Cursor:
        """The cursor as the pass that trains leaves it."""
        # Whichever it is, the next pass begins where all of them did.
        current = self.passes.likely()
        if current is None:
            return self._cursor
        if current.is_empty and current.origin.epoch_named:
            # Nothing was drawn of the epoch that set_epoch has named. (StatefulDataLoader restores a finished epoch with
            # an iterator that it throws away; what its workers ask that for must not end the epoch.)
            return self._cursor
        drawn = current.origin.begin(self._length(current.origin)).draw()
        return drawn.finish(self._length(drawn)) if current.ended else drawn

    def _move(self, cursor: Cursor) -> None:
        """Set the position: no earlier pass says anything about it."""
        self._cursor, self._latest = cursor, None
        self.passes.clear()
        self._num_moves += 1
        self._skipped, self._counts_in_batches = (), False

    def _load(self, cursor: Cursor, state_dict: Mapping[str, Any], allow: Collection[str]) -> None:
        saved, config = loadable(self.config, state_dict, allow=allow)
        length = config.length(saved.epoch)
        finished = Finished.of((first, stop) for first, stop in saved.finished)
        moved = cursor.load(epoch=saved.epoch, consumed=saved.consumed, finished=finished, num_samples=length)
        self.config = replace(config, whole_batches=self.config.whole_batches, marks_epochs=self.config.marks_epochs)
        self._move(moved)
        if saved.epoch == self._cursor.epoch:
            self._skipped = saved.skipped

    def _deal(self, cursor: Cursor) -> Deal:
        return self.config.deal(cursor.epoch, cursor.consumed, cursor.finished)

    def _length(self, cursor: Cursor) -> int:
        return self.config.length(cursor.epoch)

    def _skipped_with(self, epoch_pass: EpochPass) -> Sequence[int]:
        if not self._skipped:
            return epoch_pass.skipped
        before = (position for position in self._skipped if position < epoch_pass.start)
        return [*before, *epoch_pass.skipped]
