"""Whether each of several streams of data goes on at its place, and only the choice between them is different."""

from __future__ import annotations

from collections.abc import Mapping

from resumable.launch.evidence.rank_records import Loader
from resumable.launch.explain.codes.place_reasons import ChoiceDiffers
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import BatchKey

Stream = tuple[str, int | None]
"""Class and length of a data set: loaders of the rest of an epoch, and of the next one, read the same stream.

Two data sets that are alike in both pass for one stream, whose order is then as wrong as that of all: nothing is explained.
"""


def explain_interleaving(
    expected: Steps, found: Steps, *, wanted_loaders: Mapping[int, Loader], found_loaders: Mapping[int, Loader]
) -> Reason | None:
    """The choice is to blame if the batches of each stream, taken by themselves, are the expected ones in their order.

    Args:
        expected: What the rank should train on from its resume point.
        found: What it trained on.
        wanted_loaders: Those of the uninterrupted run, by number.
        found_loaders: Those of the process, which numbers them as it meets them.
    """
    wanted, got = _by_stream(expected, wanted_loaders), _by_stream(found, found_loaders)
    is_same = got.keys() <= wanted.keys() and all(_agree(wanted[stream], own) for stream, own in got.items())
    if len(wanted) < 2 or not is_same or _agree(_in_order(expected), _in_order(found)):
        return None
    return ChoiceDiffers(num_streams=len(wanted))


def _agree(one: list[BatchKey], other: list[BatchKey]) -> bool:
    """As far as both go."""
    num = min(len(one), len(other))
    return one[:num] == other[:num]


def _by_stream(steps: Steps, loaders: Mapping[int, Loader]) -> dict[Stream, list[BatchKey]]:
    keys: dict[Stream, list[BatchKey]] = {}
    for step in steps:
        for batch in step.batches:
            loader = loaders.get(batch.loader)
            stream = ("", batch.loader) if loader is None else (loader.dataset, loader.num_samples)
            keys.setdefault(stream, []).append(batch.key)
    return keys


def _in_order(steps: Steps) -> list[BatchKey]:
    return [key for step in steps for key in step.keys]
