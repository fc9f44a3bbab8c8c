"""Which batches an optimizer step consumed: the one rule for it, inside a rank and for who reads its lines.

Handed out, delivered and consumed are three things. A batch that the loop received is consumed by the next optimizer step
if a backward pass ended in between and no later batch of the same loader came first; otherwise it was discarded: a script
that fast-forwards after its restart, peeks at a batch or validates does so, and is right to. Several batches may belong to
one step (gradient accumulation). A step without a backward pass before it is the second optimizer's part of the step
before, or a phantom by which checkpoint libraries fill optimizer state. What is done before the first batch of a loader
that is trained on is a warm-up, steps included.

Counterexample to "every batch that waits is consumed": two loaders that take turns, fast-forwarded after a restart. The last
batches of both wait when the first backward pass comes, and only the one received last is trained on.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from resumable.launch.evidence.loop_profile import LoopProfile
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, EpochEnd, Step

_MOST_RECEIVED = 4096
"""More batches than a step is made of: a script that fast-forwards through the rest of them need not fit into memory."""


class ConsumedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that had a backward pass, or waits for one."""

    batch: Batch
    epoch: int
    """Ordinal of its pass among the passes of this process that were trained on; of its loader's where several loaders are
    trained on side by side."""


class ConsumedStep(msgspec.Struct, frozen=True, kw_only=True):
    """What one optimizer step is made of."""

    batches: tuple[ConsumedBatch, ...]
    losses: tuple[float | None, ...]
    """One for each backward pass."""
    record: Step | None
    """None in a job without an optimizer."""
    line: int
    """Where the step, or else its last backward pass, stands in the file of its process, from 1."""


class Consumption:
    """Follows the lines of one process in their order.

    Args:
        profile: How the job's loop works.
        training: Loaders whose batches are trained on; who follows a process that still runs may change it as it learns.
    """

    def __init__(self, profile: LoopProfile, training: frozenset[int]) -> None:
        self._profile = profile
        self.training = training
        self._has_begun = not training
        self._received: list[Batch] = []
        self._consumed: list[ConsumedBatch] = []
        self._losses: list[float | None] = []
        self._backward_line = 0
        self._epochs: dict[tuple[int, int], int] = {}
        self._num_passes: Counter[int] = Counter()
        self.ended: set[tuple[int, int]] = set()
        """Passes that ran to their end, as (loader, epoch of the loader)."""

    @property
    def unfinished(self) -> tuple[ConsumedBatch, ...]:
        """Batches with a backward pass whose step has not come yet."""
        return tuple(self._consumed)

    @property
    def waiting(self) -> tuple[ConsumedBatch, ...]:
        """Batches that were received last and had no backward pass yet."""
        return tuple([self._placed(batch) for batch in self._received if batch.loader in self.training])

    @property
    def has_backward(self) -> bool:
        """Whether a backward pass of the training came since the last step."""
        return bool(self._losses)

    def epoch_of(self, batch: Batch) -> int:
        """The epoch that a batch belongs to if it is trained on next."""
        return self._epochs.get((batch.loader, batch.epoch), self._num_passes[self.stream_of(batch)])

    def follow(self, record: AnyRecord) -> ConsumedStep | None:
        """Take note of one line; returns the step that it completes."""
        match record:
            case Batch() if record.grad_enabled:
                return self._receive(record)
            case Backward() if self._has_begun or self._begins():
                self._consume(record)
            case Step() if self._losses:
                return self._finish(record)
            case EpochEnd():
                self.ended.add((record.loader, record.epoch))
                self._discard(record.loader)
        return None

    def close(self) -> ConsumedStep | None:
        """The script came to its end: without optimizer steps that proves its last update."""
        return self._finish(None) if not self._profile.has_steps and self._losses else None

    def _begins(self) -> bool:
        """Whether a batch that may be trained on has come: before it a script warms up with batches of its own making."""
        self._has_begun = any(batch.loader in self.training for batch in self._received)
        return self._has_begun

    def _receive(self, batch: Batch) -> ConsumedStep | None:
        is_next = not self._profile.has_steps and self._losses and batch.loader in self.training
        finished = self._finish(None) if is_next else None
        self._discard(batch.loader)
        self._received.append(batch)
        del self._received[:-_MOST_RECEIVED]
        return finished

    def _discard(self, loader: int) -> None:
        """A batch that the next one of its loader follows was not trained on."""
        if not self._profile.takes_together:
            self._received = [batch for batch in self._received if batch.loader != loader]

    def _consume(self, record: Backward) -> None:
        self._losses.append(record.loss)
        self._backward_line = record.sequence + 1
        if not self._profile.takes_together:
            self._move(1 if self._profile.takes_turns else len(self._received))

    def _move(self, num_batches: int) -> None:
        """Of what was received, the last so many batches are trained on."""
        batches = [batch for batch in self._received if batch.loader in self.training][-num_batches:]
        for batch in batches:
            placed = self._placed(batch)
            if (batch.loader, batch.epoch) not in self._epochs:
                self._epochs[batch.loader, batch.epoch] = placed.epoch
                self._num_passes[self.stream_of(batch)] += 1
            self._consumed.append(placed)
        self._received = []

    def _finish(self, record: Step | None) -> ConsumedStep:
        if self._profile.takes_together:
            self._move(len(self._losses))
        step = ConsumedStep(
            batches=tuple(self._consumed),
            losses=tuple(self._losses),
            record=record,
            line=record.sequence + 1 if record else self._backward_line,
        )
        self._consumed, self._losses, self._received = [], [], []
        return step

    def _placed(self, batch: Batch) -> ConsumedBatch:
        return ConsumedBatch(batch=batch, epoch=self.epoch_of(batch))

    def stream_of(self, batch: Batch) -> int:
        """Passes of one stream follow each other; loaders that are trained on side by side are streams of their own."""
        return batch.loader if self._profile.side_by_side else 0
