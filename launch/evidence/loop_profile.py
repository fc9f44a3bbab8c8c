"""How a job's loop works, as far as that decides how its lines are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from resumable.launch.evidence.rank_records import FIRST_INPUT, AnyRecord, Backward, Batch, EpochEnd, Loader, Step


class LoopProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Properties of a job that one short process does not show; they are taken from its longest run."""

    has_steps: bool = True
    """The job has an optimizer; otherwise every batch with a backward pass is a step of its own."""
    side_by_side: bool = False
    """Several loaders are trained on at the same time, each with epochs of its own."""
    by_inputs: frozenset[int] = frozenset()
    """Ranks whose backward passes mostly have no batch of a loader before them, but the inputs of a model: one may read for
    all."""
    takes_together: bool = False
    """The loop receives all batches of a step before it trains on the first of them."""
    takes_turns: bool = False
    """Several loaders are trained on, and each backward pass is of a batch of one of them."""
    num_samples: frozenset[int] = frozenset()
    """Lengths of the data sets that loaders read."""


def profile_of(processes: Iterable[tuple[int, Sequence[AnyRecord]]]) -> LoopProfile:
    """What the lines of these processes show.

    Args:
        processes: Rank and lines of each.
    """
    processes = tuple(processes)
    num_more: Counter[int] = Counter()
    for rank, lines in processes:
        num_more[rank] += _num_more_by_inputs(lines)
    by_inputs = frozenset(rank for rank, num in num_more.items() if num > 0)
    training = [training_loaders(lines, by_inputs=rank in by_inputs) for rank, lines in processes]
    loops = [(lines, own) for (_, lines), own in zip(processes, training, strict=True)]
    together = [_num_taken_together(lines) for lines, _ in loops]
    records = [record for lines, _ in loops for record in lines]
    return LoopProfile(
        has_steps=any(isinstance(record, Step) for record in records),
        side_by_side=any(_is_side_by_side(_passes(lines, own)) for lines, own in loops),
        by_inputs=by_inputs,
        takes_together=2 * sum(num for num, _ in together) > sum(num for _, num in together),
        takes_turns=_takes_turns(loops),
        num_samples=frozenset(r.num_samples for r in records if isinstance(r, Loader) and r.num_samples is not None),
    )


def training_loaders(records: Iterable[AnyRecord], *, by_inputs: bool) -> frozenset[int]:
    """Loaders whose batches a process trained on.

    Args:
        records: Lines of one process.
        by_inputs: Only inputs of models count, and else only what loaders delivered.
    """
    tally = LoaderTally(by_inputs=by_inputs)
    for record in records:
        tally.follow(record)
    return tally.training


class LoaderTally:
    """Which loaders of a process are trained on, as far as its lines have shown by now.

    A loader is one if most backward passes had a batch of it (it may have delivered many more that were only
    fast-forwarded), or if most of those that had one had no other (tasks that take turns). A validation with autograd on
    that is broken off, or comes between a training batch and its backward pass, is followed by a backward pass too, and
    meets neither. Without any backward pass it is the loader that delivered last: the process was killed before its first
    one ended.

    Args:
        by_inputs: Only inputs of models count, and else only what loaders delivered.
    """

    def __init__(self, *, by_inputs: bool) -> None:
        self._by_inputs = by_inputs
        self._latest: int | None = None
        self._num_before: Counter[int] = Counter()
        self._num_alone: Counter[int] = Counter()
        self.num_backwards = 0
        """Backward passes that had a batch of this kind before them."""
        self._since: set[int] = set()

    def follow(self, record: AnyRecord) -> None:
        """Take note of one line."""
        match record:
            case Batch() if record.grad_enabled and (record.loader >= FIRST_INPUT) == self._by_inputs:
                self._latest = record.loader
                self._since.add(record.loader)
            case Backward() if self._since:
                self.num_backwards += 1
                self._num_before.update(self._since)
                if len(self._since) == 1:
                    self._num_alone.update(self._since)
                self._since = set()
            case EpochEnd():
                self._since.discard(record.loader)

    @property
    def training(self) -> frozenset[int]:
        """The loaders that are trained on."""
        if not self.num_backwards:
            return frozenset() if self._latest is None else frozenset({self._latest})
        return frozenset(
            loader
            for loader, num_before in self._num_before.items()
            if 2 * num_before > self.num_backwards or 2 * self._num_alone[loader] > num_before
        )


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

    Before the first one a script may fast-forward.
    """
    num_together = num_steps = num_batches = num_backwards = 0
    is_apart = False
    for record in records:
        if isinstance(record, Batch) and record.grad_enabled:
            is_apart |= num_backwards > 0
            num_batches += 1
        elif isinstance(record, Backward):
            num_backwards += 1
        elif isinstance(record, Step) and num_backwards:
            num_together += num_steps > 0 and not is_apart and num_batches == num_backwards > 1
            num_steps += 1
            num_batches = num_backwards = 0
            is_apart = False
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
