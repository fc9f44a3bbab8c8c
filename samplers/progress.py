"""Where a sampler stands: its cursor and its current pass, for the sampler itself and for the loaders around it."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from resumable.samplers.arguments import integer
from resumable.samplers.config import SamplerConfig
from resumable.samplers.cursor import Cursor
from resumable.samplers.epoch_pass import EpochPass
from resumable.samplers.frameworks.call_stack import inside_prefetching_loader
from resumable.samplers.state import LIMIT


class Progress:
    """The moving part of a sampler.

    `ResumableSampler` shows its users what they need of it; iterator, batch sampler, loader and adapters work with this
    object itself.
    """

    def __init__(self, config: SamplerConfig) -> None:
        self.config = config
        self.current_pass: EpochPass | None = None
        """The latest pass; None before the first one, and after the position was set."""
        self._cursor = Cursor()
        self._warned = False

    @property
    def epoch(self) -> int:
        """Epoch of the next pass, or of the one under way."""
        return self._cursor.epoch

    @property
    def start_iter(self) -> int:
        """Batch of the epoch with which the next pass begins."""
        consumed = self._cursor_after_pass().begin(self.config.num_samples).consumed
        if consumed == self.config.num_samples:
            return self.config.num_batches
        return consumed // (self.config.layout.batch_size * self.config.layout.num_replicas)

    @property
    def num_remaining(self) -> int:
        """Number of samples that this rank has left in the epoch, from the position that `state` gives."""
        if self.current_pass is not None and self.current_pass.begun:
            return self.current_pass.num_remaining
        return self.config.share(self._cursor.consumed).num_rows

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch of the next pass."""
        self._cursor = self._cursor_after_pass().set_epoch(epoch, self.config.num_samples)
        if self.current_pass is not None and self.current_pass.epoch != epoch:
            self.current_pass = None

    def skip_to_batch(self, start_iter: int) -> None:
        """Begin the next pass with a batch of the epoch."""
        num_batches = integer("start_iter", start_iter, low=0, high=self.config.num_batches + 1)
        share = self.config.share(0)
        consumed = share.consumed(num_batches * share.batch_size) if num_batches else 0
        self._cursor, self.current_pass = self._cursor_after_pass().skip_to(consumed), None

    def advance(self) -> None:
        """Name the next epoch if the latest was read to its end, and none was named since; for loops that name none."""
        self._cursor, self.current_pass = self._cursor_after_pass().advance(self.config.num_samples), None

    def deal_whole_batches(self) -> None:
        """Deal out no last batch that is not full, from the next pass on; for a loader that would drop it.

        The end of the epoch is then the last full batch: a state taken behind that has nothing left of the epoch.
        """
        self.config = replace(self.config, whole_batches=True)

    def mark_epochs(self) -> None:
        """Let each index carry its epoch, from the next pass on."""
        self.config = replace(self.config, marks_epochs=True)

    def begin_pass(self) -> EpochPass:
        """Begin a pass at the present position; beginning one does not move it."""
        return self._begin(self._cursor_after_pass())

    def restart_pass(
        self, epoch_pass: EpochPass, state_dict: Mapping[str, Any], *, allow: Collection[str] = ()
    ) -> EpochPass:
        """Begin a pass again from a state, as if that had been loaded before it began."""
        return self._begin(self._loaded(epoch_pass.origin, state_dict, allow))

    def commit(self, num_batches: int) -> None:
        """Note that so many more batches of the current pass were trained on."""
        num_batches = integer("num_batches", num_batches, low=0, high=LIMIT)
        if self.current_pass is None:
            raise ValueError(
                f"num_batches={num_batches}: no batch was drawn since the position was set; was the epoch named after "
                "the loader's iterator was made?"
            )
        self.current_pass.commit(num_batches)

    def is_padding(self, batch: int) -> list[bool]:
        """Return which samples of a batch of the current pass are padding."""
        batch = integer("batch", batch, low=0, high=LIMIT)
        if self.current_pass is None:
            raise ValueError(f"batch={batch}: no pass was begun since the position was set")
        return self.current_pass.is_padding(batch)

    def state(self) -> dict[str, Any]:
        """Return the position: what was committed in the current pass or, without `commit`, what was drawn."""
        current = self.current_pass
        if current is None or not current.begun:
            return self.config.state(self._cursor.epoch, self._cursor.consumed).to_dict()
        # A loader that keeps a state with each batch asks from within, and knows what it does.
        if current.uncertain and not self._warned and not inside_prefetching_loader():
            self._warned = True
            warnings.warn(
                "the loader's workers have read ahead, so this state may be beyond the last batch that was trained on: "
                "call sampler.commit() after each step, or use ResumableDataLoader",
                stacklevel=3,
            )
        return self.config.state(current.epoch, current.consumed).to_dict()

    def state_of(self, epoch_pass: EpochPass) -> dict[str, Any]:
        """Return the position up to which one pass was drawn."""
        return self.config.state(epoch_pass.epoch, epoch_pass.drawn).to_dict()

    def load(self, state_dict: Mapping[str, Any], *, allow: Collection[str] = ()) -> None:
        """Let the next pass go on from a state."""
        self._cursor, self.current_pass = self._loaded(self._cursor_after_pass(), state_dict, allow), None

    def _cursor_after_pass(self) -> Cursor:
        """The cursor as the current pass leaves it."""
        current = self.current_pass
        if current is None or not current.begun:
            return self._cursor
        if current.read_ahead and current.empty and self._cursor.epoch_named:
            # StatefulDataLoader restores a finished epoch with an iterator that it throws away: its workers ask an
            # empty pass for samples that no loop has asked for, which must not end the epoch that set_epoch has named.
            return self._cursor
        drawn = self._cursor.draw()
        return drawn.finish(self.config.num_samples) if current.ended else drawn

    def _begin(self, cursor: Cursor) -> EpochPass:
        self._cursor = cursor.begin(self.config.num_samples)
        self.current_pass = EpochPass(
            origin=cursor,
            epoch=self._cursor.epoch,
            share=self.config.share(self._cursor.consumed),
            stream=self.config.stream(self._cursor.epoch),
            marks_epoch=self.config.marks_epochs,
        )
        return self.current_pass

    def _loaded(self, cursor: Cursor, state_dict: Mapping[str, Any], allow: Collection[str]) -> Cursor:
        epoch, consumed = self.config.position(state_dict, allow=allow)
        return cursor.load(epoch=epoch, consumed=consumed, num_samples=self.config.num_samples)
