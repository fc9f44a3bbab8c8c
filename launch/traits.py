"""Properties of a job that decide how its lines are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from launch.history import History
from launch.records import AnyRecord, Backward, Batch, EpochEnd, Step


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """Properties of a job that one short process does not show; they are taken from its longest run."""

    has_steps: bool = True
    """The job has an optimizer; otherwise every batch with a backward pass is a step of its own."""
    side_by_side: bool = False
    """Several loaders are trained on at the same time, each with epochs of its own."""
    takes_together: bool = False
    """The loop receives all batches of a step before it trains on the first of them."""


def traits_of(history: History) -> Traits:
    """The traits that a whole history shows."""
    has_steps = any(isinstance(record, Step) for process in history.processes for record in process.records)
    side_by_side = any(_is_side_by_side(_passes(process.records)) for process in history.processes)
    together = [_num_taken_together(process.records) for process in history.processes]
    return Traits(
        has_steps=has_steps,
        side_by_side=side_by_side,
        takes_together=2 * sum(num for num, _ in together) > sum(num for _, num in together),
    )


def training_loaders(records: Iterable[AnyRecord]) -> frozenset[int]:
    """Loaders whose batches are trained on.

    A loader is one if most backward passes had a batch of it (it may have delivered many more that were only
    fast-forwarded), or if a backward pass had nothing but its batch most times that it delivered one (tasks that take
    turns). A validation with autograd on that is broken off, or comes between a training batch and its backward pass,
    is followed by a backward pass too, and meets neither. Without any backward pass it is the loader that delivered
    last: the process was killed before its first one ended.
    """
    num_batches: Counter[int] = Counter()
    num_before: Counter[int] = Counter()
    num_alone: Counter[int] = Counter()
    num_backwards = 0
    since: set[int] = set()
    for record in records:
        if isinstance(record, Batch) and record.grad_enabled:
            num_batches[record.loader] += 1
            since.add(record.loader)
        elif isinstance(record, Backward) and since:
            num_backwards += 1
            num_before.update(since)
            if len(since) == 1:
                num_alone.update(since)
            since = set()
        elif isinstance(record, EpochEnd):
            since.discard(record.loader)
    if not num_backwards:
        return frozenset(list(num_batches)[-1:])
    return frozenset(
        loader
        for loader, num in num_batches.items()
        if 2 * num_before[loader] > num_backwards or 2 * num_alone[loader] > num
    )


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


def _passes(records: Sequence[AnyRecord]) -> list[tuple[int, int]]:
    training = training_loaders(records)
    return [(r.loader, r.epoch) for r in records if isinstance(r, Batch) and r.loader in training]


def _is_side_by_side(passes: Sequence[tuple[int, int]]) -> bool:
    """Whether a pass goes on after a batch of another one, so that passes are no sequence."""
    num_changes = sum(first != second for first, second in pairwise(passes))
    return num_changes >= len(set(passes)) > 0
