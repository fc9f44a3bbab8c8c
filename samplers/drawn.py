"""What was drawn of a pass: read in blocks, counted by what is left of the latest one."""

from collections.abc import Iterator
from operator import length_hint

from resumable.samplers.deal import Deal, Item
from resumable.samplers.epoch_index import marked

Unit = Item | list[Item]
"""An item, or a batch of items."""


class Drawn:
    """How far one rank's items were drawn.

    Each block is handed on as a list iterator, of items or of batches, which knows by itself how much of it is left:
    counting what was drawn costs nothing per sample, and taking batches costs nothing per sample at all.
    """

    def __init__(self) -> None:
        self._num_read = 0
        self._unit_size = 1
        self._block: Iterator[Unit] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether items have been asked for."""
        return self._block is not None

    @property
    def num_items(self) -> int:
        """How many items were drawn."""
        if self._block is None:
            return 0
        num_units = -(-self._num_read // self._unit_size) - length_hint(self._block)
        return min(num_units * self._unit_size, self._num_read)

    def next_block(self, deal: Deal, *, batch_size: int | None, epoch: int | None) -> Iterator[Unit] | None:
        """Read the next block; None after the last.

        Args:
            deal: What is read.
            batch_size: Items in a batch; None for items one by one. The same in all calls.
            epoch: What each sample is marked with, if it is.
        """
        self._unit_size = batch_size or 1
        first = self._num_read
        stop = deal.next_stop(first, self._unit_size)
        items = deal.items(first, stop) if stop > first else []
        if epoch is not None:
            items = [marked(item, epoch) for item in items]
        if batch_size is None:
            self._block = iter(items)
        else:
            self._block = iter([items[start : start + batch_size] for start in range(0, len(items), batch_size)])
        self._num_read = stop
        return self._block if stop > first else None

    def let_go(self) -> None:
        """Let go of what was read and not drawn, so that an iterator over it has nothing left."""
        self._num_read = self.num_items
        for _ in self._block or ():
            pass
