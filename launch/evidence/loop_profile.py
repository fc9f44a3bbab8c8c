"""How a job's loop works, as far as that decides how its lines are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from resumable.launch.evidence.rank_records import (
    FIRST_INPUT,
    AnyRecord,
    Backward,
    Batch,
    EpochEnd,
    Loader,
    SkippedStep,
    Step,
)

MOST_BATCHES = 4096
"""More than a step is made of: a script that fast-forwards through the rest of them need not fit into memory."""


class LoopProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Properties of a job that one short process does not show; they are taken from its longest run."""

    has_steps: bool = True
    """The job has an optimizer; otherwise every batch with a backward pass is a step of its own."""
    has_batches: bool = True
    """What it trains on was seen; otherwise its steps have none."""
    interleaves_loaders: bool = False
    """Several loaders are trained on at the same time, each with epochs of its own."""
    ranks_without_loader: frozenset[int] = frozenset()
    """Ranks that train on the inputs of a model and not on batches of a loader: one may read for all."""
    fetches_whole_steps: bool = False
    """The loop receives all batches of a step before it trains on the first of them."""
    takes_turns: bool = False
    """Several loaders are trained on, and each backward pass is of a batch of one of them; needed where nothing else shows
    which."""
    num_samples: frozenset[int] = frozenset()
    """Lengths of the data sets that loaders read."""


def profile_of(processes: Iterable[tuple[int, Sequence[AnyRecord]]]) -> LoopProfile:
    """What the lines of these processes show.

    Args:
        processes: Rank and lines of each.
    """
    processes = tuple(processes)
    ranks = {rank for rank, _ in processes}
    without_loader = frozenset(
        rank for rank in ranks if _is_by_inputs(lines for its_rank, lines in processes if its_rank == rank)
    )
    loops = [_LoopTally(roles_of(lines, by_inputs=rank in without_loader).training) for rank, lines in processes]
    for loop, (_, lines) in zip(loops, processes, strict=True):
        for record in lines:
            loop.follow(record)
    return LoopProfile(
        has_steps=any(loop.has_steps for loop in loops),
        has_batches=any(loop.training for loop in loops),
        interleaves_loaders=any(loop.interleaves_loaders for loop in loops),
        ranks_without_loader=without_loader,
        fetches_whole_steps=2 * sum(loop.num_together for loop in loops)
        > sum(max(0, loop.num_steps - 1) for loop in loops),
        takes_turns=max((loop.most_in_turn for loop in loops), default=0) == 1,
        num_samples=frozenset(num for loop in loops for num in loop.num_samples),
    )


class LoaderRoles(msgspec.Struct, frozen=True, kw_only=True):
    """What a process does with its loaders."""

    training: frozenset[int] = frozenset()
    """Their batches are trained on."""
    traced: frozenset[int] = frozenset()
    """Forward passes were seen to get their batches, so that what a backward pass did not go back to was not trained on."""


def roles_of(records: Iterable[AnyRecord], *, by_inputs: bool) -> LoaderRoles:
    """What a process did with its loaders.

    Args:
        records: Lines of one process.
        by_inputs: Only inputs of models count, and else only what loaders delivered.
    """
    tally = LoaderTally(by_inputs=by_inputs)
    for record in records:
        tally.follow(record)
    return tally.roles


class LoaderTally:
    """Which loaders of a process are trained on, as far as its lines have shown by now.

    Those are, whose batches a backward pass went back to. Of loaders that no forward pass was seen to get anything of, it
    shows in the order alone: a loader is one if most backward passes had a batch of it (it may have delivered many more that
    were only fast-forwarded), or if most of those that had one had no other (tasks that take turns). A validation with
    autograd on that is broken off, or comes between a training batch and its backward pass, is followed by a backward pass
    too, and meets neither. Without any backward pass it is the loader that delivered last: the process was killed before its
    first one ended.

    Args:
        by_inputs: Only inputs of models count, and else only what loaders delivered.
    """

    def __init__(self, *, by_inputs: bool) -> None:
        self._by_inputs = by_inputs
        self._latest: int | None = None
        self._by_line: dict[int, int] = {}
        self._new: set[int] = set()
        """Lines of batches that no backward pass has gone back to."""
        self._traced: set[int] = set()
        self._reached: set[int] = set()
        self._num_before: Counter[int] = Counter()
        self._num_alone: Counter[int] = Counter()
        self.num_backwards = 0
        """Backward passes that had a new batch of this kind."""
        self._since: set[int] = set()

    def follow(self, record: AnyRecord) -> None:
        """Take note of one line."""
        match record:
            case Batch() if record.grad_enabled and (record.loader >= FIRST_INPUT) == self._by_inputs:
                self._latest = record.loader
                self._since.add(record.loader)
                self._new.add(record.sequence)
                self._remember(record)
            case Backward():
                self._count(record)
                self._since = set()
            case EpochEnd():
                self._since.discard(record.loader)

    @property
    def is_settled(self) -> bool:
        """Whether nothing was delivered since the last backward pass."""
        return not self._since

    def take(self, batch: Batch) -> None:
        """A batch of a loader that is traced was delivered, and a backward pass went back to it alone."""
        self._remember(batch)
        self.num_backwards += 1

    def _remember(self, batch: Batch) -> None:
        self._by_line[batch.sequence] = batch.loader
        if len(self._by_line) > MOST_BATCHES:
            self._new.discard(next(iter(self._by_line)))
            del self._by_line[next(iter(self._by_line))]

    def _count(self, record: Backward) -> None:
        new: set[int] = set()
        if record.batches is not None:
            reached = self._loaders(record.batches)
            self._reached |= reached
            self._traced |= reached | self._loaders(record.beside)
            new = self._new.intersection(record.batches)
            self._new -= new
        since = self._since - self._traced
        if new or since:
            self.num_backwards += 1
            self._num_before.update(since)
            if len(since) == 1 and not new:
                self._num_alone.update(since)

    def _loaders(self, lines: Iterable[int]) -> set[int]:
        return {self._by_line[line] for line in lines if line in self._by_line}

    @property
    def roles(self) -> LoaderRoles:
        """What was seen of them."""
        traced = frozenset(self._traced)
        if not self.num_backwards:
            return LoaderRoles(
                training=frozenset() if self._latest is None else frozenset({self._latest}), traced=traced
            )
        by_order = {
            loader
            for loader, num_before in self._num_before.items()
            if 2 * num_before > self.num_backwards or 2 * self._num_alone[loader] > num_before
        }
        return LoaderRoles(training=frozenset(self._reached | (by_order - traced)), traced=traced)


def _is_by_inputs(lives: Iterable[Iterable[AnyRecord]]) -> bool:
    """Whether no backward pass went back to a batch of a loader; where nothing shows, whether most had none before them."""
    num_more = 0
    for records in lives:
        of_loader: dict[int, bool] = {}
        since: set[int] = set()
        num_reached = num_more_by_order = 0
        for record in records:
            match record:
                case Batch():
                    of_loader[record.sequence] = record.loader < FIRST_INPUT
                    if len(of_loader) > MOST_BATCHES:
                        del of_loader[next(iter(of_loader))]
                    if record.grad_enabled:
                        since.add(record.loader)
                case EpochEnd():
                    since.discard(record.loader)
                case Backward():
                    if any(of_loader.get(line) for line in record.batches or ()):
                        return False
                    num_reached += record.batches is not None
                    if since:
                        num_more_by_order += 1 if min(since) >= FIRST_INPUT else -1
                        since.clear()
        num_more += num_reached or num_more_by_order
    return num_more > 0


class _LoopTally:
    """How the loop of one process works.

    Args:
        training: The loaders that it trains on.
    """

    def __init__(self, training: frozenset[int]) -> None:
        self.training = training
        self.has_steps = False
        self.num_samples: set[int] = set()
        """Lengths of its data sets."""
        self.num_together = 0
        """Steps before which several batches came and then as many backward passes, and nothing shows what these went back
        to; not the first step: before it a script may fast-forward."""
        self.num_steps = 0
        """Those with a backward pass before them."""
        self.most_in_turn = 0
        """Loaders that had delivered before one backward pass but the first, where several are trained on."""
        self._passes: set[tuple[int, int]] = set()
        self._last_pass: tuple[int, int] | None = None
        self._num_changes = -1
        self._since: set[int] = set()
        self._has_turned = False
        self._num_batches = self._num_backwards = 0
        self._is_apart = self._is_told = False

    @property
    def interleaves_loaders(self) -> bool:
        """Whether a pass goes on after a batch of another one, so that passes are no sequence."""
        return self._num_changes >= len(self._passes) > 0

    def follow(self, record: AnyRecord) -> None:
        """Take note of one line."""
        match record:
            case Batch():
                self._receive(record)
            case Backward():
                self._go_back(record)
            case Step():
                self.has_steps = True
                self._finish()
            case SkippedStep():
                self.has_steps = True
            case EpochEnd():
                self._since.discard(record.loader)
            case Loader() if record.num_samples is not None:
                self.num_samples.add(record.num_samples)

    def _receive(self, batch: Batch) -> None:
        is_trained = batch.loader in self.training
        if is_trained and (batch.loader, batch.epoch) != self._last_pass:
            self._last_pass = (batch.loader, batch.epoch)
            self._passes.add(self._last_pass)
            self._num_changes += 1
        if batch.grad_enabled:
            self._num_batches += 1
            self._is_apart |= self._num_backwards > 0
            if is_trained:
                self._since.add(batch.loader)

    def _go_back(self, backward: Backward) -> None:
        self._num_backwards += 1
        self._is_told |= backward.batches is not None
        if self._since:
            if self._has_turned and len(self.training) > 1:
                self.most_in_turn = max(self.most_in_turn, len(self._since))
            self._has_turned = True
            self._since.clear()

    def _finish(self) -> None:
        if self._num_backwards:
            is_together = not self._is_apart and not self._is_told and self._num_batches == self._num_backwards > 1
            self.num_together += is_together and self.num_steps > 0
            self.num_steps += 1
            self._num_batches = self._num_backwards = 0
            self._is_apart = self._is_told = False
