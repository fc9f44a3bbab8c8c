"""Which batches an optimizer step consumed: the one rule for it, inside a rank and for who reads its lines.

Handed out, delivered and consumed are three things. A batch is consumed by the optimizer step whose gradients it
contributed to. Which batches a backward pass went back to was recorded where it could be seen, and so was that gradients
were let go without a step, or that a gradient scaler left the step out. Several batches may belong to one step (gradient
accumulation), and one batch to several steps.

Where nothing shows what a backward pass went back to, the order decides: it is what the loop received since the last one,
but of each loader only what came last, because a script that fast-forwards after its restart, peeks at a batch or validates
does so, and is right to. If nothing came, it is once more what was let go just now.

A step without a backward pass before it is the second optimizer's part of the step before, or a phantom by which checkpoint
libraries fill optimizer state. What is done before the first batch of a loader that is trained on is a warm-up, steps
included.

Counterexample to "every batch that waits is consumed": two loaders that take turns, fast-forwarded after a restart. The last
batches of both wait when the first backward pass comes, and only the one received last is trained on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from resumable.launch.evidence.loop_profile import MOST_BATCHES, LoaderRoles, LoopProfile
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, EpochEnd, LetGo, SkippedStep, Step

MOST_KNOWN = 256
"""So many batches can be gone back to, beside those that wait: a rank remembers the memory of no more."""


class ConsumedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that had a backward pass, or waits for one."""

    batch: Batch
    epoch: int
    """Ordinal of its pass among the passes of this process that were trained on; of its loader's where several loaders are
    trained on side by side."""
    backward: int | None = None
    """Line (`sequence`) of its first backward pass; None if it waits for one."""
    is_again: bool = False
    """An earlier step has consumed it too."""


class ConsumedStep(msgspec.Struct, frozen=True, kw_only=True):
    """What one optimizer step is made of."""

    batches: tuple[ConsumedBatch, ...]
    losses: tuple[float | None, ...]
    """One for each backward pass."""
    scale: float | None
    """What a gradient scaler had multiplied all of them by."""
    record: Step | None
    """None in a job without an optimizer."""
    carries: bool = False
    """Gradients that the process did not make, which it must have from a checkpoint, are part of it."""
    line: int
    """Where the step, or else its last backward pass, stands in the file of its process, from 1."""


class Consumption:
    """Follows the lines of one process in their order.

    Args:
        profile: How the job's loop works.
        roles: Of its loaders; who follows a process that still runs may change them as it learns.
    """

    def __init__(self, profile: LoopProfile, roles: LoaderRoles) -> None:
        self._profile = profile
        self.roles = roles
        self._has_begun = not profile.has_batches and not roles.training
        self._received: list[Batch] = []
        self._known: dict[int, Batch] = {}
        """Batches by their line."""
        self._done: set[int] = set()
        """Lines of known batches that a step has consumed."""
        self._consumed: list[ConsumedBatch] = []
        self._losses: list[float | None] = []
        self._scales: set[float | None] = set()
        self._untold: list[int] = []
        """Backward passes since the last step of which nothing shows what they went back to."""
        self._is_skipped = False
        """A scaler has left out the step of what was consumed."""
        self._dropped: list[Batch] = []
        """What was let go since the last step."""
        self._carries = False
        self._backward_line = 0
        self._epochs: dict[tuple[int, int], int] = {}
        self._num_passes: Counter[int] = Counter()
        self.ended: set[tuple[int, int]] = set()
        """Passes that ran to their end, as (loader, epoch of the loader)."""

    @property
    def unfinished(self) -> tuple[ConsumedBatch, ...]:
        """Batches with a backward pass whose step has not come yet."""
        return () if self._is_skipped else tuple(self._consumed)

    @property
    def losses(self) -> tuple[float | None, ...]:
        """Of the backward passes since the last step, which has not come yet."""
        return () if self._is_skipped else tuple(self._losses)

    @property
    def waiting(self) -> tuple[ConsumedBatch, ...]:
        """Batches that were received last and had no backward pass yet."""
        return tuple([self._placed(batch) for batch in self._waiting(self.roles.training)])

    @property
    def is_untold(self) -> bool:
        """Whether order alone says what the step that comes next consumes."""
        return bool(self._untold)

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
            case Backward():
                self._carries |= record.carries
                if self._has_begun or self._begins(record):
                    self._consume(record)
            case SkippedStep():
                self._is_skipped = bool(self._losses)
            case LetGo():
                self._let_go()
            case Step() if self._losses:
                return self._finish(record)
            case EpochEnd():
                self.ended.add((record.loader, record.epoch))
                self._discard(record.loader)
        return None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left that the next step may be made of."""
        is_left = self._received or self._losses or self._dropped or self._is_skipped or self._carries
        return not is_left

    def take(self, batch: Batch) -> None:
        """A batch of a pass that is known, and the backward pass that went back to it alone, became part of a step."""
        self._remember(batch)
        self._done.add(batch.sequence)

    def close(self) -> ConsumedStep | None:
        """The script came to its end: without optimizer steps that proves its last update."""
        return self._finish(None) if not self._profile.has_steps and self._losses else None

    def _begins(self, record: Backward) -> bool:
        """Whether a batch that may be trained on has come: before it a script warms up with batches of its own making."""
        self._has_begun = bool(self._reached(record) or self._waiting(self.roles.training))
        return self._has_begun

    def _receive(self, batch: Batch) -> ConsumedStep | None:
        is_next = not self._profile.has_steps and self._losses and batch.loader in self.roles.training
        finished = self._finish(None) if is_next else None
        self._discard(batch.loader)
        self._received.append(batch)
        del self._received[:-MOST_BATCHES]
        self._remember(batch)
        return finished

    def _remember(self, batch: Batch) -> None:
        self._known[batch.sequence] = batch
        if len(self._known) > MOST_KNOWN + max(1, len(self._received)):
            self._done.discard(next(iter(self._known)))
            del self._known[next(iter(self._known))]

    def _discard(self, loader: int) -> None:
        """A batch that the next one of its loader follows was not trained on, as far as order tells."""
        if not self._profile.fetches_whole_steps:
            self._received = [batch for batch in self._received if batch.loader != loader]

    def _consume(self, record: Backward) -> None:
        if self._is_skipped:
            self._let_go()
        self._losses.append(record.loss)
        self._scales.add(record.scale)
        self._backward_line = record.sequence + 1
        if record.batches is not None:
            untraced = self.roles.training - self.roles.traced
            self._add([*self._reached(record), *self._next(untraced)], record.sequence)
            return
        self._untold.append(record.sequence)
        if not self._profile.fetches_whole_steps:
            batches = self._next(self.roles.training)
            self._add(batches[-1:] if self._profile.takes_turns else batches, record.sequence)
            self._received = []

    def _let_go(self) -> None:
        """What was consumed since the last step will be in none, unless it is gone back to."""
        self._dropped = [one.batch for one in self._consumed] or self._dropped
        self._consumed, self._losses, self._untold = [], [], []
        self._scales = set()
        self._is_skipped = False

    def _reached(self, record: Backward) -> list[Batch]:
        batches = [self._known[line] for line in record.batches or () if line in self._known]
        return [batch for batch in batches if batch.loader in self.roles.training]

    def _next(self, loaders: frozenset[int]) -> list[Batch]:
        """What order says that a backward pass is of: what waits, and else what was let go just now."""
        dropped, self._dropped = self._dropped, []
        return self._waiting(loaders) or [batch for batch in dropped if batch.loader in loaders]

    def _waiting(self, loaders: frozenset[int]) -> list[Batch]:
        return [batch for batch in self._received if batch.loader in loaders]

    def _add(self, batches: Iterable[Batch], backward: int) -> None:
        """These had a backward pass."""
        lines = {one.batch.sequence for one in self._consumed}
        for batch in batches:
            if batch.sequence in lines:
                continue
            placed = self._placed(batch, backward=backward)
            if (batch.loader, batch.epoch) not in self._epochs:
                self._epochs[batch.loader, batch.epoch] = placed.epoch
                self._num_passes[self.stream_of(batch)] += 1
            self._consumed.append(placed)
            lines.add(batch.sequence)
        self._received = [batch for batch in self._received if batch.sequence not in lines]

    def _finish(self, record: Step | None) -> ConsumedStep:
        if self._profile.fetches_whole_steps and self._untold:
            batches = self._waiting(self.roles.training)[-len(self._untold) :]
            for batch, backward in zip(batches, self._untold, strict=False):
                self._add([batch], backward)
        step = ConsumedStep(
            batches=tuple(self._consumed),
            losses=tuple(self._losses),
            scale=next(iter(self._scales)) if len(self._scales) == 1 else None,
            record=record,
            carries=self._carries,
            line=record.sequence + 1 if record else self._backward_line,
        )
        lines = [one.batch.sequence for one in self._consumed]
        # What a loop has fetched for the next step waits on; what it went past does not.
        self._received = (
            [] if self._untold else [batch for batch in self._received if batch.sequence > max(lines, default=0)]
        )
        self._done.update(lines)
        self._let_go()
        self._dropped = []
        self._carries = False
        return step

    def _placed(self, batch: Batch, *, backward: int | None = None) -> ConsumedBatch:
        return ConsumedBatch(
            batch=batch, epoch=self.epoch_of(batch), backward=backward, is_again=batch.sequence in self._done
        )

    def stream_of(self, batch: Batch) -> int:
        """Passes of one stream follow each other; loaders that are trained on side by side are streams of their own."""
        return batch.loader if self._profile.interleaves_loaders else 0
