"""The ranks' batches joined into one stream, as if a single rank had trained.

Samplers of a distributed job deal a common order out in turns: position `j * W + r` of the stream is the `j`-th sample
of rank `r` of `W`. Read back this way, runs with other numbers of ranks can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

import msgspec

from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.trajectory import BatchKey, TrainedStep

Sample = int | str


class GlobalStep(msgspec.Struct, frozen=True, kw_only=True):
    """One optimizer step of all ranks together."""

    incarnation: int
    world_size: int
    epoch: int
    samples: tuple[Sample, ...]
    """In stream order, padding included. A batch without indices is one sample: its digest."""


def effective_stream(run: Run) -> tuple[GlobalStep, ...]:
    """The steps that no restart cut off, in order."""
    steps: list[GlobalStep] = []
    for incarnation in run.history.incarnations:
        group = [life for life in run.lives if life.incarnation == incarnation]
        num_steps = max((life.num_kept for life in group), default=0)
        steps.extend(_joined(group, number) for number in range(num_steps))
    return tuple(step for step in steps if step.samples)


def epochs_of(stream: Iterable[GlobalStep]) -> dict[int, list[Sample]]:
    """The samples of every epoch, in stream order."""
    epochs: dict[int, list[Sample]] = {}
    for step in stream:
        epochs.setdefault(step.epoch, []).extend(step.samples)
    return epochs


def without_repeats(samples: Sequence[Sample]) -> list[Sample]:
    """Each sample where it comes first: padding repeats samples of the same epoch."""
    return list(dict.fromkeys(samples))


def replayed(samples: Sequence[Sample]) -> list[int]:
    """Places of the samples that come again while new ones still follow: padding would end the epoch."""
    first_places = {sample: place for place, sample in reversed(list(enumerate(samples)))}
    last_new = max(first_places.values(), default=0)
    return [place for place, sample in enumerate(samples[:last_new]) if first_places[sample] != place]


def samples_of(key: BatchKey) -> tuple[Sample, ...]:
    """What a batch is made of."""
    if isinstance(key, tuple):
        return key
    return () if key is None else (key,)


def _joined(group: Sequence[Life], number: int) -> GlobalStep:
    steps = [life.steps[number] if number < life.num_kept else TrainedStep() for life in group]
    columns = [[s for batch in step.batches for s in samples_of(batch.key)] for step in steps]
    missing = object()
    turns = chain.from_iterable(zip_longest(*columns, fillvalue=missing))
    epochs = [batch.epoch for step in steps for batch in step.batches]
    return GlobalStep(
        incarnation=group[0].incarnation,
        world_size=len(group),
        epoch=min(epochs, default=0),
        samples=tuple([sample for sample in turns if isinstance(sample, int | str)]),
    )
