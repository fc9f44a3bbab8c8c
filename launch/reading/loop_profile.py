"""Properties of a job that decide how its lines are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from resumable.launch.evidence.history import History
from resumable.launch.evidence.rank_records import FIRST_INPUT, AnyRecord, Backward, Batch, EpochEnd, Loader, Step


class Traits(msgspec.Struct, frozen=True, kw_only=True):
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
    num_samples: frozenset[int] = frozenset()
    """Lengths of the data sets that loaders read."""


def traits_of(history: History) -> Traits:
    """The traits that a whole history shows."""
    records = [record for process in history.processes for record in process.records]
    has_steps = any(isinstance(record, Step) for record in records)
    num_more: Counter[int] = Counter()
    for process in history.processes:
        num_more[process.rank] += _num_more_by_inputs(process.records)
    by_inputs = frozenset(rank for rank, num in num_more.items() if num > 0)
    side_by_side = any(
        _is_side_by_side(_passes(process.records, by_inputs=process.rank in by_inputs)) for process in history.processes
    )
    together = [_num_taken_together(process.records) for process in history.processes]
    return Traits(
        has_steps=has_steps,
        side_by_side=side_by_side,
        by_inputs=by_inputs,
        takes_together=2 * sum(num for num, _ in together) > sum(num for _, num in together),
        num_samples=frozenset(r.num_samples for r in records if isinstance(r, Loader) and r.num_samples is not None),
    )


def training_loaders(records: Iterable[AnyRecord], *, by_inputs: bool) -> frozenset[int]:
    """Loaders whose batches are trained on.

    A loader is one if most backward passes had a batch of it (it may have delivered many more that were only
    fast-forwarded), or if a backward pass had nothing but its batch most times that it delivered one (tasks that take
    turns). A validation with autograd on that is broken off, or comes between a training batch and its backward pass,
    is followed by a backward pass too, and meets neither. Without any backward pass it is the loader that delivered
    last: the process was killed before its first one ended.

    Args:
        records: Lines of one process.
        by_inputs: Only inputs of models count, and else only what loaders delivered.
    """
    records = [record for record in records if not _is_of_other_kind(record, by_inputs=by_inputs)]
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


def _is_of_other_kind(record: AnyRecord, *, by_inputs: bool) -> bool:
    return isinstance(record, Batch) and (record.loader >= FIRST_INPUT) != by_inputs


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


def _passes(records: Sequence[AnyRecord], *, by_inputs: bool) -> list[tuple[int, int]]:
    training = training_loaders(records, by_inputs=by_inputs)
    return [(r.loader, r.epoch) for r in records if isinstance(r, Batch) and r.loader in training]


def _is_side_by_side(passes: Sequence[tuple[int, int]]) -> bool:
    """Whether a pass goes on after a batch of another one, so that passes are no sequence."""
    num_changes = sum(first != second for first, second in pairwise(passes))
    return num_changes >= len(set(passes)) > 0
