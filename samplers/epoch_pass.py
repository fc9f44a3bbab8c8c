"""One pass over the rest of an epoch: what one rank has drawn of it, and what it has trained on."""

from collections.abc import Iterator
from dataclasses import replace
from operator import length_hint

from resumable.samplers.cursor import Cursor
from resumable.samplers.epoch_index import EpochIndex
from resumable.samplers.orders import Stream
from resumable.samplers.share import Share

_MIN_BLOCK_ROWS = 64
_MAX_BLOCK_ROWS = 32_768


class EpochPass:
    """A pass that has begun.

    Samples are read in blocks, and each block is handed on as a list iterator, which knows by itself how much of it is
    left: counting what was drawn costs nothing per sample.
    """

    def __init__(self, *, origin: Cursor, epoch: int, share: Share, stream: Stream, marks_epoch: bool) -> None:
        self.origin = origin
        """The cursor before this pass began, to which a load into its iterator returns."""
        self.epoch = epoch
        self.read_ahead = False
        """Whether a loader draws it that fetches batches before the training loop asks for them."""
        self._share = share
        self._stream = stream
        self._marks_epoch = marks_epoch
        self._num_read = 0
        self._block: Iterator[int] | None = None
        self._num_committed_batches: int | None = None

    def is_padding(self, batch: int) -> list[bool]:
        """For each sample of this rank's `batch`-th batch of the pass, whether it is padding."""
        first = batch * self._share.batch_size
        stop = min(first + self._share.batch_size, self._share.num_rows)
        return [position >= self._share.num_samples for position in self._share.positions(first, stop)]

    @property
    def begun(self) -> bool:
        """Whether samples have been asked for."""
        return self._block is not None

    @property
    def ended(self) -> bool:
        """Whether everything was drawn. An empty pass has ended once somebody asked for its first sample."""
        return self.begun and self._num_drawn == self._share.num_rows

    @property
    def empty(self) -> bool:
        """Whether there was nothing left of the epoch when it began."""
        return self._share.num_rows == 0

    @property
    def uncertain(self) -> bool:
        """Whether what was drawn may be more than what was trained on, and nothing was committed."""
        return self.read_ahead and self._num_committed_batches is None

    @property
    def drawn(self) -> int:
        """Position in the stream up to which this pass was drawn."""
        return self._share.consumed(self._num_drawn)

    @property
    def consumed(self) -> int:
        """Position in the stream: what was committed if `commit` was ever called in this pass, else what was drawn."""
        return self._share.consumed(self._num_done)

    @property
    def num_remaining(self) -> int:
        """Number of samples that this rank has left behind that position."""
        return max(0, self._share.num_rows - self._num_done)

    def deal_whole_batches(self) -> None:
        """Leave out a last batch that is not full: who draws from this pass would drop it, and never commit it."""
        self._share = replace(self._share, whole_batches=True)

    def commit(self, num_batches: int) -> None:
        """Note that `num_batches` more batches were trained on.

        Raises:
            ValueError: so many batches have not been drawn.
        """
        committed = (self._num_committed_batches or 0) + num_batches
        num_drawn_batches = -(-self._num_drawn // self._share.batch_size)
        if committed > num_drawn_batches:
            raise ValueError(
                f"num_batches={num_batches}: that makes {committed} batches of {self._share.batch_size} samples in "
                f"this pass, but only {num_drawn_batches} were drawn; is the sampler's batch_size the loader's?"
            )
        self._num_committed_batches = committed

    def next_block(self) -> Iterator[int] | None:
        """Read the next block of this rank's samples; None after the last."""
        first = self._num_read
        # As long as all before it: the first sample waits for few others, and the last one for few blocks.
        num_rows = min(max(first, _MIN_BLOCK_ROWS), _MAX_BLOCK_ROWS)
        stop = min(first + num_rows, self._share.num_rows)
        self._block = iter(self._samples(first, stop))
        self._num_read = stop
        return self._block if stop > first else None

    def abandon(self) -> None:
        """Let go of what was read and not drawn, so that an iterator over this pass has nothing left of it."""
        self._num_read = self._num_drawn
        for _ in self._block or ():
            pass

    @property
    def _num_drawn(self) -> int:
        return self._num_read - (0 if self._block is None else length_hint(self._block))

    @property
    def _num_done(self) -> int:
        if self._num_committed_batches is None:
            return self._num_drawn
        return self._num_committed_batches * self._share.batch_size

    def _samples(self, first: int, stop: int) -> list[int]:
        positions = self._share.positions(first, stop)
        padded = stop == self._share.num_rows and self._share.num_padding and stop > first
        samples: list[int] = self._stream.at(positions[:-1] if padded else positions).tolist()
        if padded:
            wrapped = positions[-1] % self._share.num_samples
            samples += self._stream.at(range(wrapped, wrapped + 1)).tolist()
        if self._marks_epoch:
            return [EpochIndex(sample, self.epoch) for sample in samples]
        return samples
