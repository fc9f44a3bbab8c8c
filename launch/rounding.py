"""Tells a state that was restored and then rounded otherwise from one that was not restored.

DDP lays out its gradient buckets anew after the first step of a process, so a process that was just started sums in
another order than one that has run for long. With three and more ranks the last bit of a sum depends on that order, and
a correct job is not bit-equal after a restart. The difference begins at a few units in the last place of the loss and
grows slowly; momentum, a learning rate or a random state that was lost shows in the next loss by orders of magnitude more.
"""

from __future__ import annotations

from collections.abc import Iterator

from launch.evidence import Evidence
from launch.timeline import Life, Steps

_FIRST_TOLERANCE = 2e-6
"""Relative difference of two losses that is taken for rounding: sixteen units in the last place of a float32."""
_GROWTH = 2.0
"""How much more it may be with every further step."""
_LAST_TOLERANCE = 1e-2
_NUM_STEPS = 6
"""Steps of each process that are looked at: later, rounding alone may have grown to anything."""
_MIN_STEPS = 3
"""Fewer prove nothing."""


def is_rounding(evidence: Evidence) -> bool:
    """Whether all that differs from the reference after restarts can be rounding alone.

    It cannot with fewer than three ranks, nor if a process began with other parameters than the job had, trained on other
    batches, or has a loss that is further off.
    """
    if max(evidence.faulted.world_sizes, default=0) < 3:
        return False
    return all(_is_close(evidence.expected.get(t.rank, ()), t.lives) for t in evidence.faulted.timelines)


def _is_close(expected: Steps, lives: tuple[Life, ...]) -> bool:
    tolerance = _FIRST_TOLERANCE
    for life in lives:
        if life.resume is None:
            continue
        if life.resume.how != "parameters" or not _is_life_close(expected[life.first_step :], life.steps, tolerance):
            return False
        tolerance = min(_LAST_TOLERANCE, tolerance * _GROWTH ** min(len(life.steps), 64))
    return True


def _is_life_close(expected: Steps, found: Steps, tolerance: float) -> bool:
    if len(found) < _MIN_STEPS or any(a.keys != b.keys for a, b in zip(expected, found, strict=False)):
        return False
    return all(
        abs(wanted - got) <= min(_LAST_TOLERANCE, tolerance * _GROWTH**number) * max(abs(wanted), abs(got))
        for number, wanted, got in _losses(expected, found)
    )


def _losses(expected: Steps, found: Steps) -> Iterator[tuple[int, float, float]]:
    """Number of the step, and the two losses of each backward pass; NaN where one is missing, which is close to nothing."""
    for number, (wanted, got) in enumerate(zip(expected[:_NUM_STEPS], found, strict=False)):
        for one, other in zip(wanted.losses, got.losses, strict=False):
            yield number, _number(one), _number(other)


def _number(loss: float | None) -> float:
    return float("nan") if loss is None else loss
