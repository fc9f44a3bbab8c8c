"""A point that failed is run again cold: a failure that plain processes do not show may be the warm node's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from resumable.launch.judge.causes import HOLDS_COLD, shape_of
from resumable.launch.judge.verdict import Verdict
from resumable.launch.outcome import Outcome
from resumable.launch.plan.plan import Scenario

Which = Literal["each", "cause"]


def confirmed(warm: Verdict, cold: Verdict) -> Verdict:
    """The verdict on a point that failed, once it has been run cold.

    What only one of the two shows is UNKNOWN, with both answers in its reason, unless the cold run is INVALID: its ranks
    are the plain processes that torchrun would have started, so that it proves what it shows by itself.
    """
    if cold.outcome is warm.outcome:
        return _told(warm, warm.outcome, f"{warm.reason}{HOLDS_COLD}")
    if cold.outcome is Outcome.INVALID:
        return _told(warm, Outcome.INVALID, f"{cold.reason} (only cold; warm it was {_answer(warm)})")
    return _told(
        warm, Outcome.UNKNOWN, f"{warm.reason} (only warm: {warm.outcome.upper()}; cold it was {_answer(cold)})"
    )


def unconfirmed(
    points: Sequence[Scenario], verdicts: Mapping[str, Verdict], is_cold: Collection[str], *, which: Which = "each"
) -> list[Scenario]:
    """The points that failed and are still to be run cold, one of every cause before the second of any.

    Args:
        points: of the sweep.
        verdicts: of its points, by name.
        is_cold: names of those that have been run cold.
        which: each: all that failed; cause: one of every cause.
    """
    failed = [point for point in points if point.name in verdicts and verdicts[point.name].outcome is not Outcome.VALID]
    turns: dict[str, int] = {}
    num_before: Counter[str] = Counter()
    for point in sorted(failed, key=lambda point: point.name not in is_cold):
        shape = shape_of(verdicts[point.name].reason)
        turns[point.name] = num_before[shape]
        num_before[shape] += 1
    waiting = [p for p in failed if p.name not in is_cold and (which == "each" or not turns[p.name])]
    return sorted(waiting, key=lambda point: turns[point.name])


def _answer(verdict: Verdict) -> str:
    return (
        verdict.outcome.upper() if verdict.outcome is Outcome.VALID else f"{verdict.outcome.upper()}: {verdict.reason}"
    )


def _told(verdict: Verdict, outcome: Outcome, reason: str) -> Verdict:
    return msgspec.structs.replace(verdict, outcome=outcome, reason=reason)
