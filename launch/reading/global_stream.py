"""The ranks' batches joined into one stream, as if a single rank had trained.

Samplers of a distributed job deal a common order out in turns. Most deal sample by sample: position `j * W + r` of the
stream is the `j`-th sample of rank `r` of `W`. Some deal whole batches, as those that cut them by a budget of tokens: the
`j`-th batch of each rank follows the one of the rank before. Read back in the same way, runs with other numbers of ranks
can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from types import MappingProxyType

import msgspec

from resumable.launch.evidence.rank_records import Index
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.trained import TrainedStep

Names = Mapping[str, tuple[Index, ...]]


class GlobalStep(msgspec.Struct, frozen=True, kw_only=True):
    """One optimizer step of all ranks together."""

    incarnation: int
    world_size: int
    epoch: int
    samples: tuple[Index, ...]
    """In stream order, padding included. A batch without indices is one sample: its digest."""


def effective_stream(run: Run, *, by_batch: bool = False) -> tuple[GlobalStep, ...]:
    """The steps that no restart cut off, in order, read as dealt sample by sample, or by whole batches."""
    steps: list[GlobalStep] = []
    for incarnation in run.history.incarnations:
        group = run.group(incarnation)
        num_steps = max((life.num_kept for life in group), default=0)
        steps.extend(_joined(group, number, by_batch=by_batch) for number in range(num_steps))
    return tuple(step for step in steps if step.samples)


class EpochStreams:
    """The samples of each epoch in stream order, read as dealt sample by sample, or by whole batches.

    Args:
        run: What was trained on; what a restart cut off does not count.
        names: What batches held of which a digest was kept, by that digest, where it is known by now.
    """

    def __init__(self, run: Run, names: Names = MappingProxyType({})) -> None:
        self._run = run
        self._names = names
        self._ranges = {(life.incarnation, life.rank): life.steps[: life.num_kept].epoch_ranges() for life in run.lives}

    def of(self, epoch: int, incarnations: Iterable[int], *, by_batch: bool) -> list[Index]:
        """What these incarnations trained on of an epoch, without what only some ranks of the last one have done yet."""
        samples: list[Index] = []
        for incarnation in incarnations:
            group = self._run.group(incarnation)
            ranges = [own for life in group for own in self._ranges[life.incarnation, life.rank].get(epoch, ())]
            stop = max((own.stop for own in ranges), default=0)
            if incarnation == self._run.history.incarnations[-1]:
                stop = min([stop, *(life.num_kept for life in group)])
            for number in range(min((own.start for own in ranges), default=0), stop):
                samples.extend(_joined(group, number, by_batch=by_batch, only=epoch, names=self._names).samples)
        return samples


def samples_a_turn(run: Run) -> int:
    """The most samples that a rank gets when it is its turn: one, or a batch where ranks' batches differ in size."""
    largest, is_uneven = 1, False
    for incarnation in run.history.incarnations:
        group = run.group(incarnation)
        for number in range(min((life.num_kept for life in group), default=0)):
            sizes = [[len(batch.samples) for batch in life.steps[number].batches] for life in group]
            is_uneven = is_uneven or any(theirs != sizes[0] for theirs in sizes)
            largest = max(largest, *chain.from_iterable(sizes), 1)
    return largest if is_uneven else 1


def epochs_of(stream: Iterable[GlobalStep]) -> dict[int, list[Index]]:
    """The samples of every epoch, in stream order."""
    epochs: dict[int, list[Index]] = {}
    for step in stream:
        epochs.setdefault(step.epoch, []).extend(step.samples)
    return epochs


def without_repeats(samples: Sequence[Index]) -> list[Index]:
    """Each sample where it comes first: padding repeats samples of the same epoch."""
    return list(dict.fromkeys(samples))


def replayed(samples: Sequence[Index]) -> list[int]:
    """Places of the samples that come again while new ones still follow: padding would end the epoch."""
    first_places = {sample: place for place, sample in reversed(list(enumerate(samples)))}
    last_new = max(first_places.values(), default=0)
    return [place for place, sample in enumerate(samples[:last_new]) if first_places[sample] != place]


def num_dropped(run: Run) -> int:
    """Samples that may miss at an epoch's end, because a loader drops its tail: at most."""
    lives = (
        (life.process.start.world_size, loader) for life in run.lives for loader in life.trajectory.loaders.values()
    )
    return max((size * (loader.batch_size or 1) - 1 for size, loader in lives if loader.drop_last), default=0)


def is_by_content(run: Run) -> bool:
    """Whether batches of the run are known by their content alone: it tells nothing of what they are made of."""
    return any(isinstance(batch.key, str) for life in run.lives for step in life.steps for batch in step.batches)


def _joined(
    group: Sequence[Life], number: int, *, by_batch: bool, only: int | None = None, names: Names = MappingProxyType({})
) -> GlobalStep:
    """A step of all ranks; `only`: of the batches of one epoch."""
    steps = [life.steps[number] if number < life.num_kept else TrainedStep() for life in group]
    wanted = [[batch for batch in step.batches if only in (None, batch.epoch)] for step in steps]
    batches = [[names.get(batch.digest or "", batch.samples) for batch in own] for own in wanted]
    columns = batches if by_batch else [[(s,) for batch in column for s in batch] for column in batches]
    turns = chain.from_iterable(zip_longest(*columns, fillvalue=()))
    epochs = [batch.epoch for step in steps for batch in step.batches]
    return GlobalStep(
        incarnation=group[0].incarnation,
        world_size=len(group),
        epoch=min(epochs, default=0),
        samples=tuple(chain.from_iterable(turns)),
    )
