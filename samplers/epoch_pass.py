"""One pass over the rest of an epoch: what one rank has drawn of it, and what it has trained on."""

import threading
import weakref
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any

from resumable.samplers.cursor import Cursor
from resumable.samplers.deal import Deal
from resumable.samplers.drawn import Drawn, Unit
from resumable.samplers.finished import Finished
from resumable.samplers.frameworks.drawing import Drawer
from resumable.samplers.in_flight import InFlight


class EpochPass:
    """A pass that has begun, over items, which are samples or groups of them."""

    def __init__(self, *, origin: Cursor, epoch: int, num_moves: int, deal: Deal, marks_epoch: bool) -> None:
        self.origin = origin
        """The cursor before this pass began, to which a load into its iterator returns."""
        self.epoch = epoch
        self.num_moves = num_moves
        """How often the sampler's position had been set when it began; it says nothing about a later one."""
        self.skipped: list[int] = []
        """Positions in the stream of what could not be loaded, and was left out by a loop that went on."""
        self._deal = deal
        self._marks_epoch = marks_epoch
        self._owner: weakref.ref[object] | None = None
        self._reads_ahead = False
        self._stranger: CodeType | None = None
        self._thread: int | None = None
        self._drawn = Drawn()
        self._num_delivered_batches: int | None = None
        self._num_committed_batches: int | None = None
        self._in_flight: InFlight | None = None
        self._rows_left_out: list[int] = []

    def __getstate__(self) -> dict[str, Any]:
        # A copy of a pass has no iterator, and code cannot be pickled.
        return vars(self) | {"_owner": None, "_thread": None, "_stranger": None}

    def belongs_to(self, owner: object) -> None:
        """Note the iterator that the user holds: once it is let go, the pass is over."""
        self._owner = weakref.ref(owner)

    def is_padding(self, batch: int) -> list[bool]:
        """For each sample of this rank's `batch`-th batch of the pass, whether it is padding."""
        return [is_padding for row in self._rows(batch) for is_padding in self._deal.padding(row)]

    @property
    def start(self) -> int:
        """Position in the stream at which it began."""
        return self._deal.start

    @property
    def finished_before(self) -> Finished:
        """What was finished behind its start when it began."""
        return self._deal.finished

    @property
    def has_drawn(self) -> bool:
        """Whether samples have been asked for."""
        return self._drawn.has_begun

    @property
    def is_committed(self) -> bool:
        """Whether `commit` was called for it."""
        return self._num_committed_batches is not None or self._in_flight is not None

    @property
    def is_out_of_order(self) -> bool:
        """Whether samples of it are finished in a different order than they were drawn."""
        return self._in_flight is not None

    @property
    def num_in_flight(self) -> int:
        """How many of this rank's items were drawn and are not finished, where that is said of each."""
        return 0 if self._in_flight is None else self._drawn_into(self._in_flight).num_rows

    @property
    def is_delivered(self) -> bool:
        """Whether a `ResumableDataLoader` hands out what it draws."""
        return self._num_delivered_batches is not None

    @property
    def ended(self) -> bool:
        """Whether everything is done. An empty pass has ended once somebody asked for its first sample."""
        return self.has_drawn and not self._deal.has_row(self.num_done)

    @property
    def is_drawn(self) -> bool:
        """Whether everything is drawn."""
        return self.has_drawn and not self._deal.has_row(self._num_drawn)

    @property
    def is_under_way(self) -> bool:
        """Whether there is more to come, and somebody still holds the iterator that it would come from, or works on it."""
        is_held = self._owner is not None and self._owner() is not None
        return not self.ended and (is_held or self.num_in_flight > 0)

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing left of the epoch when it began."""
        return not self._deal.has_row(0)

    @property
    def is_uncertain(self) -> bool:
        """Whether more was drawn than was trained on, as far as can be known, and nothing was committed.

        So it is where a loader has workers, or where a thread fetches that is not the one which now asks.
        """
        ahead = self._reads_ahead and self._num_delivered_batches is None
        return not self.is_committed and (ahead or self._thread not in (None, threading.get_ident()))

    @property
    def stranger(self) -> CodeType | None:
        """Somebody's code that has drawn, if that may be more than it has handed on, or in a different order."""
        is_known = self.is_out_of_order or self.is_delivered or self.num_committed == self._num_drawn
        return None if is_known else self._stranger

    @property
    def num_committed(self) -> int | None:
        """How many items were committed by the number of their batches; None if none were."""
        if self._num_committed_batches is None:
            return None
        return min(self._num_committed_batches * self._deal.batch_size, self._num_drawn)

    @property
    def consumed(self) -> int:
        """Position in the stream: what was committed, else what was delivered, else what was drawn."""
        return self._deal.consumed(self.num_done)

    @property
    def rows_finished(self) -> Finished:
        """Which of this rank's items are committed."""
        if self._in_flight is not None:
            return self._in_flight.finished
        return Finished.of([(0, self.num_committed or 0)])

    @property
    def num_done(self) -> int:
        """Number of this rank's items up to that position."""
        if self._in_flight is not None:
            return self._in_flight.finished.up_to(0)
        counted = self._num_delivered_batches if self._num_committed_batches is None else self._num_committed_batches
        return self._num_drawn if counted is None else counted * self._deal.batch_size

    @property
    def drawn_batches(self) -> int:
        """Number of batches that were drawn, a last short one included."""
        return -(-self._num_drawn // self._deal.batch_size)

    @property
    def delivered_batches(self) -> int:
        """Number of batches that were handed out."""
        return self._num_delivered_batches or 0

    @property
    def num_remaining(self) -> int:
        """Number of items that this rank has left behind that position."""
        num_ahead = 0 if self._in_flight is None else self._in_flight.finished.behind(self.num_done).count
        return max(0, self._deal.num_rows - self.num_done - num_ahead)

    def begin_drawing(self, drawer: Drawer) -> None:
        """Take over what is known of who draws, ahead of the first sample."""
        self._reads_ahead, self._stranger = drawer.reads_ahead, drawer.stranger
        if drawer.drop_last or drawer.batch_size not in (None, self._deal.batch_size):
            self._deal = self._deal.in_batches(drawer.batch_size or self._deal.batch_size, drop_last=drawer.drop_last)

    def begin_delivery(self, delivery: object) -> None:
        """Count what is handed to a loop from now on, and not what is drawn for it."""
        self.belongs_to(delivery)
        self._num_delivered_batches = 0

    def deliver(self, *, num_failed: int) -> None:
        """Note that a batch is handed to the loop, behind so many that could not be loaded."""
        self._thread = threading.get_ident()
        self.leave_out(num_failed)
        self._num_delivered_batches = (self._num_delivered_batches or 0) + 1

    def leave_out(self, num_failed: int) -> None:
        """Note that the loop went on behind so many batches that could not be loaded."""
        for _ in range(num_failed):
            number = self._num_delivered_batches or 0
            self.skipped += (position for row in self._rows(number) for position in self._deal.positions(row))
            self._rows_left_out += self._rows(number)
            self._num_delivered_batches = number + 1

    def commit(self, num_batches: int) -> None:
        """Note that `num_batches` more batches were trained on.

        Raises:
            ValueError: so many batches have not been drawn, or samples were committed one by one.
        """
        if self._in_flight is not None:
            raise ValueError(
                f"num_batches={num_batches}: samples of this pass were committed one by one, in an order of their own, so "
                "that a number says nothing: commit(samples)"
            )
        committed = (self._num_committed_batches or 0) + num_batches
        size, num_drawn = self._deal.batch_size, self._num_drawn
        # Only an epoch's last batch may be a short one.
        if committed > self.drawn_batches or (committed * size > num_drawn and not self.is_drawn):
            raise ValueError(
                f"num_batches={num_batches}: that makes {committed} batches of {size} samples in this pass, but only "
                f"{num_drawn} samples were drawn; is the sampler's batch_size the loader's?"
            )
        self._num_committed_batches = committed

    def finish(self, samples: Sequence[int]) -> None:
        """Note that samples of this rank were trained on, in whatever order.

        Raises:
            ValueError: they are not in flight, or batches were committed by their number.
        """
        if self._num_committed_batches is not None:
            raise ValueError(
                f"samples={[*samples][:5]}: batches of this pass were committed by their number, in the order in which they "
                "were drawn: stay with the one or the other"
            )
        in_flight = self._drawn_into(self._in_flight or InFlight())
        in_flight.finish(samples)
        in_flight.finish_rows(self._rows_left_out)
        self._in_flight = in_flight

    def place_drawn(self) -> tuple[int, Finished]:
        """Return the position up to which it was drawn, and what is finished behind."""
        return self._place_of(self._num_drawn)

    def place(self) -> tuple[int, Finished]:
        """Return the position up to which everything is finished, and what is finished behind it; of this rank alone."""
        if self._in_flight is None:
            return self._place_of(self.num_done)
        return self.place_with(self._in_flight.finished)

    def place_with(self, numbers: Finished) -> tuple[int, Finished]:
        """Return that if items of these numbers are finished, counted over all ranks from the pass's start on."""
        return self._deal.with_finished(numbers)

    def next_block(self, *, in_batches: bool) -> Iterator[Unit] | None:
        """Read the next block of this rank's items, or of its batches; None after the last."""
        self._thread = threading.get_ident()
        return self._drawn.next_block(
            self._deal,
            batch_size=self._deal.batch_size if in_batches else None,
            epoch=self.epoch if self._marks_epoch else None,
        )

    def abandon(self) -> None:
        """Let go of what was read and not drawn, so that an iterator over this pass has nothing left of it."""
        self._drawn.let_go()

    @property
    def _num_drawn(self) -> int:
        return self._drawn.num_items

    def _place_of(self, num: int) -> tuple[int, Finished]:
        position = self._deal.consumed(num)
        return position, self._deal.finished.behind(position)

    def _drawn_into(self, in_flight: InFlight) -> InFlight:
        """Return it with everything that was drawn."""
        if in_flight.num_drawn < self._num_drawn:
            in_flight.draw(self._deal.items(in_flight.num_drawn, self._num_drawn))
        return in_flight

    def _rows(self, batch: int) -> range:
        first = batch * self._deal.batch_size
        stop = first
        while stop < first + self._deal.batch_size and self._deal.has_row(stop):
            stop += 1
        return range(first, stop)
