"""Where the timeline of a run draws what: pure geometry, in percent of the steps."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from resumable.launch.judge.results import Case, Span

_MAX_TICKS = 8


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """What one process trained on, as parts that lie behind each other."""

    span: Span
    left: float
    """Where its first step begins."""
    replayed: float
    """Width of the steps that were done again."""
    new: float
    """Width of those that were new and kept."""
    lost: float
    """Width of those that the next restart threw away."""
    is_resumed: bool
    title: str


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """A rank and its lives, oldest first."""

    rank: int
    bars: tuple[Bar, ...]


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """A number on the axis."""

    step: int
    left: float


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """The timeline of one case; empty if nothing was trained on."""

    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    num_steps: int


def chart_of(case: Case) -> Chart:
    """The timeline of a case."""
    num_steps = max((span.first_step + span.num_steps for span in case.spans), default=0)
    ranks = sorted({span.rank for span in case.spans})
    lanes = tuple(Lane(rank=rank, bars=_bars(case.spans, rank, num_steps)) for rank in ranks)
    return Chart(lanes=lanes if num_steps else (), ticks=_ticks(num_steps), num_steps=num_steps)


def _bars(spans: Sequence[Span], rank: int, num_steps: int) -> tuple[Bar, ...]:
    return tuple(_bar(span, num_steps) for span in spans if span.rank == rank)


def _bar(span: Span, num_steps: int) -> Bar:
    unit = 100 / max(1, num_steps)
    replayed = min(span.num_replayed, span.num_kept)
    return Bar(
        span=span,
        left=span.first_step * unit,
        replayed=replayed * unit,
        new=(span.num_kept - replayed) * unit,
        lost=(span.num_steps - span.num_kept) * unit,
        is_resumed=span.incarnation > 0 and span.num_steps > 0,
        title=_title(span),
    )


def _title(span: Span) -> str:
    who = f"rank {span.rank}, incarnation {span.incarnation}"
    if not span.num_steps:
        return f"{who}: no step done, {span.end}"
    parts = [f"steps {span.first_step} to {span.first_step + span.num_steps - 1}"]
    if span.num_replayed:
        parts.append(f"{span.num_replayed} done again")
    if span.num_steps > span.num_kept:
        parts.append(f"{span.num_steps - span.num_kept} lost")
    return f"{who}: {', '.join([*parts, span.end])}"


def _ticks(num_steps: int) -> tuple[Tick, ...]:
    """At most `_MAX_TICKS` + 1 round numbers, 0 first."""
    if num_steps == 0:
        return ()
    width = next(w for p in range(12) for w in (10**p, 2 * 10**p, 5 * 10**p) if num_steps <= w * _MAX_TICKS)
    return tuple(Tick(step=step, left=100 * step / num_steps) for step in range(0, num_steps + 1, width))
