"""A point that failed is run again on plain processes: what those do not show may be the warm node's own failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.causes import kind_of
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Scenario

Which = Literal["each", "cause"]


def confirmed(warm: Verdict, plain: Verdict) -> Verdict:
    """The verdict on a point that failed, once it has been run on plain processes.

    It is confirmed where both runs have one cause, and not by failing in two ways. If not, it is UNKNOWN, with both
    answers in its reason, unless the plain run is INVALID: its ranks are the processes that torchrun would have started, so
    that it proves what it shows by itself.
    """
    if kind_of(plain) == kind_of(warm):
        return msgspec.structs.replace(warm, confirmation="both", reason=f"{warm.reason} (holds on plain processes)")
    only = "" if plain.outcome is warm.outcome else "only "
    if plain.outcome is Outcome.INVALID:
        return msgspec.structs.replace(
            warm,
            outcome=Outcome.INVALID,
            confirmation="only plain",
            cause=plain.cause,
            reason=f"{plain.reason} ({only}on plain processes; on a warm node it was {_answer(warm)})",
        )
    seen = f"{only}on a warm node: {warm.outcome.upper()}"
    return msgspec.structs.replace(
        warm,
        outcome=Outcome.UNKNOWN,
        confirmation="only warm",
        reason=f"{warm.reason} ({seen}; on plain processes it was {_answer(plain)})",
    )


def only_once(chained: Verdict) -> Verdict:
    """The verdict on a point that failed in a chain, and neither alone nor after the same faults a second time."""
    return msgspec.structs.replace(
        chained,
        outcome=Outcome.UNKNOWN,
        confirmation="only once",
        reason=f"{chained.reason} (only once, in {chained.chain}: {chained.outcome.upper()}; tried again it was VALID)",
    )


def unconfirmed(
    points: Sequence[Scenario],
    verdicts: Mapping[str, Verdict],
    done: Collection[str],
    *,
    num_alike: float = float("inf"),
) -> list[Scenario]:
    """The points that failed and are still to be run on plain processes, one of every cause before the second of any.

    Args:
        points: of the sweep.
        verdicts: of its points, by name.
        done: names of those that have been.
        num_alike: So many of every cause; infinite: all that failed.
    """
    failed = [point for point in points if point.name in verdicts and verdicts[point.name].outcome is not Outcome.VALID]
    turns: dict[str, int] = {}
    num_before: Counter[tuple[str, ...]] = Counter()
    for point in sorted(failed, key=lambda point: point.name not in done):
        kind = kind_of(verdicts[point.name])
        turns[point.name] = num_before[kind]
        num_before[kind] += 1
    waiting = [p for p in failed if p.name not in done and turns[p.name] < num_alike]
    return sorted(waiting, key=lambda point: turns[point.name])


def _answer(verdict: Verdict) -> str:
    return (
        verdict.outcome.upper() if verdict.outcome is Outcome.VALID else f"{verdict.outcome.upper()}: {verdict.reason}"
    )
