"""Where and when a run trained on what: a step, a batch or a sample, found in all lives of all ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from resumable.launch.evidence.rank_records import Index
from resumable.launch.reading.lives import Life, Run


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that one rank trained on in one step; all numbers count from 0 since training began."""

    step: int
    epoch: int
    batch: int
    """Of the rank's batches of this epoch."""
    rank: int
    incarnation: int
    samples: tuple[Index, ...]
    """Indices; a batch without any is one sample: its digest."""
    is_kept: bool
    """No restart threw the step away."""
    losses: tuple[float | None, ...]
    """Of the step's backward passes, where they lay on the CPU."""
    file: str
    """Where the evidence stands, relative to the run directory."""
    line: int


def occurrences(run: Run) -> Iterator[Occurrence]:
    """All of a run, by incarnation and rank."""
    for life in run.lives:
        yield from _of_life(life)


def matching(
    run: Run,
    *,
    step: int | None = None,
    epoch: int | None = None,
    batch: int | None = None,
    sample: Index | None = None,
) -> tuple[Occurrence, ...]:
    """Those for which everything that is given holds, in the order of steps."""
    wanted = {"step": step, "epoch": epoch, "batch": batch}
    asked = {name: value for name, value in wanted.items() if value is not None}
    found = [
        one
        for one in occurrences(run)
        if all(getattr(one, name) == value for name, value in asked.items())
        and (sample is None or sample in one.samples)
    ]
    return tuple(sorted(found, key=lambda one: (one.step, one.incarnation, one.rank)))


def _of_life(life: Life) -> Iterator[Occurrence]:
    done = Counter(batch.epoch for step in life.before[: life.first_step] for batch in step.batches)
    process = life.process
    for number, step in enumerate(life.steps):
        for batch in step.batches:
            yield Occurrence(
                step=life.first_step + number,
                epoch=batch.epoch,
                batch=done[batch.epoch],
                rank=life.rank,
                incarnation=life.incarnation,
                samples=batch.samples,
                is_kept=number < life.num_kept,
                losses=step.unscaled_losses,
                file=process.file,
                line=batch.line,
            )
            done[batch.epoch] += 1
