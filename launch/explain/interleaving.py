"""Whether each of several loaders goes on at its place, and only the choice between them is different."""

from __future__ import annotations

from resumable.launch.explain.order_reasons import ChoiceDiffers
from resumable.launch.explain.reasons import Reason
from resumable.launch.reading.trajectory import BatchKey, Steps


def explain_interleaving(expected: Steps, found: Steps) -> Reason | None:
    """The choice is to blame if the batches of each loader, taken by themselves, are the expected ones in their order.

    Args:
        expected: What the rank should train on from its resume point.
        found: What it trained on.
    """
    wanted, got = _by_loader(expected), _by_loader(found)
    if len(wanted) < 2 or not got or _in_order(expected) == _in_order(found):
        return None
    left = list(wanted.values())
    for own in got.values():
        fitting = next((other for other in left if own[: len(other)] == other[: len(own)]), None)
        if fitting is None:
            return None
        left.remove(fitting)
    return ChoiceDiffers(num_loaders=len(wanted))


def _by_loader(steps: Steps) -> dict[int, list[BatchKey]]:
    """Batches of each, in order; a process numbers its loaders as it meets them."""
    keys: dict[int, list[BatchKey]] = {}
    for step in steps:
        for batch in step.batches:
            keys.setdefault(batch.loader, []).append(batch.key)
    return keys


def _in_order(steps: Steps) -> list[BatchKey]:
    return [key for step in steps for key in step.keys]
