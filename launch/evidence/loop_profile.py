"""How a job's loop works, as far as that decides how its lines are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

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
    side_by_side: bool = False
    """Several loaders are trained on at the same time, each with epochs of its own."""
    by_inputs: frozenset[int] = frozenset()
    """Ranks that train on the inputs of a model and not on batches of a loader: one may read for all."""
    takes_together: bool = False
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
    by_inputs = frozenset(
        rank for rank in ranks if _is_by_inputs(lines for its_rank, lines in processes if its_rank == rank)
    )
    training = [roles_of(lines, by_inputs=rank in by_inputs).training for rank, lines in processes]
    loops = [(lines, own) for (_, lines), own in zip(processes, training, strict=True)]
    together = [_num_taken_together(lines) for lines, _ in loops]
    records = [record for lines, _ in loops for record in lines]
    return LoopProfile(
        has_steps=any(isinstance(record, Step | SkippedStep) for record in records),
        has_batches=any(training),
        side_by_side=any(_is_side_by_side(_passes(lines, own)) for lines, own in loops),
        by_inputs=by_inputs,
        takes_together=2 * sum(num for num, _ in together) > sum(num for _, num in together),
        takes_turns=_takes_turns(loops),
        num_samples=frozenset(r.num_samples for r in records if isinstance(r, Loader) and r.num_samples is not None),
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
                self._by_line[record.sequence] = record.loader
                self._new.add(record.sequence)
                if len(self._by_line) > MOST_BATCHES:
                    self._new.discard(next(iter(self._by_line)))
                    del self._by_line[next(iter(self._by_line))]
            case Backward():
                self._count(record)
                self._since = set()
            case EpochEnd():
                self._since.discard(record.loader)

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


def _is_by_inputs(lives: Iterable[Sequence[AnyRecord]]) -> bool:
    """Whether no backward pass went back to a batch of a loader; where nothing shows, whether most had none before them."""
    num_more = 0
    for lines in lives:
        loaders = {record.sequence for record in lines if isinstance(record, Batch) and record.loader < FIRST_INPUT}
        reached = [record.batches for record in lines if isinstance(record, Backward) and record.batches is not None]
        if any(line in loaders for batches in reached for line in batches):
            return False
        num_more += len(reached) or _num_more_by_inputs(lines)
    return num_more > 0


def _num_more_by_inputs(records: Iterable[AnyRecord]) -> int:
    """How many more backward passes have only inputs of a model before them than have a batch of a loader."""
    num_more = 0
    since: set[int] = set()
    for record in records:
        match record:
            case Batch() if record.grad_enabled:
                since.add(record.loader)
            case EpochEnd():
                since.discard(record.loader)
            case Backward() if since:
                num_more += 1 if min(since) >= FIRST_INPUT else -1
                since.clear()
    return num_more


def _num_taken_together(records: Iterable[AnyRecord]) -> tuple[int, int]:
    """Steps before which several batches came and then as many backward passes, and steps in all, but for the first.

    Before the first one a script may fast-forward. Only steps count of which nothing shows what they went back to.
    """
    num_together = num_steps = num_batches = num_backwards = 0
    is_apart = is_told = False
    for record in records:
        if isinstance(record, Batch) and record.grad_enabled:
            is_apart |= num_backwards > 0
            num_batches += 1
        elif isinstance(record, Backward):
            num_backwards += 1
            is_told |= record.batches is not None
        elif isinstance(record, Step) and num_backwards:
            num_together += num_steps > 0 and not is_apart and not is_told and num_batches == num_backwards > 1
            num_steps += 1
            num_batches = num_backwards = 0
            is_apart = is_told = False
    return num_together, max(0, num_steps - 1)


def _takes_turns(loops: Sequence[tuple[Sequence[AnyRecord], frozenset[int]]]) -> bool:
    """Whether one loader alone had delivered before each backward pass but a process's first.

    Before the first one a script may fast-forward.
    """
    widths = [
        width for lines, training in loops if len(training) > 1 for width in _num_before_backward(lines, training)[1:]
    ]
    return max(widths, default=0) == 1


def _num_before_backward(lines: Iterable[AnyRecord], training: frozenset[int]) -> list[int]:
    """How many loaders had delivered since the last backward pass, for each one before which any had."""
    widths = []
    since: set[int] = set()
    for record in lines:
        match record:
            case Batch() if record.loader in training and record.grad_enabled:
                since.add(record.loader)
            case EpochEnd():
                since.discard(record.loader)
            case Backward() if since:
                widths.append(len(since))
                since.clear()
    return widths


def _passes(lines: Iterable[AnyRecord], training: frozenset[int]) -> list[tuple[int, int]]:
    return [(r.loader, r.epoch) for r in lines if isinstance(r, Batch) and r.loader in training]


def _is_side_by_side(passes: Sequence[tuple[int, int]]) -> bool:
    """Whether a pass goes on after a batch of another one, so that passes are no sequence."""
    num_changes = sum(first != second for first, second in pairwise(passes))
    return num_changes >= len(set(passes)) > 0
