"""Which checkpoints of a run were whole, with all of their parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from resumable.launch.reading.lives import Run
from resumable.launch.reading.saves import Moment, Saved

_Part = tuple[str, int]
"""Series, and rank that writes to it."""


def whole_checkpoints(run: Run) -> list[Saved]:
    """Settled files beside which everything is there that belongs to them.

    `rank-0.pt` and `rank-1.pt` of one step are one series, of which each writer must have reached it. And what is there at
    all other moments of a series (`decoder.pt` of one rank beside `encoder.pt` of another) is missing at one after which its
    rank did no step any more.
    """
    settled = [checkpoint for checkpoint in run.checkpoints if checkpoint.is_settled]
    moments: dict[Moment, set[_Part]] = {}
    for one in settled:
        moments.setdefault(one.moment, set()).add((one.series, one.rank))
    writers: dict[str, set[_Part]] = {}
    for series, rank in set().union(*moments.values()):
        writers.setdefault(series, set()).add((series, rank))
    usual = _usual_parts(list(moments.values()))
    ends = {(life.incarnation, life.rank): life.first_step + len(life.steps) for life in run.lives}

    def is_whole(one: Saved) -> bool:
        there = moments[one.moment]
        ended = {rank for _, rank in usual[one.series] - there if ends.get((one.incarnation, rank), 0) <= one.step}
        return writers[one.series] <= there and not ended

    return [one for one in settled if is_whole(one)]


def _usual_parts(moments: Sequence[set[_Part]]) -> Mapping[str, set[_Part]]:
    """By series, what is there at all of its moments but one at most."""
    num_moments = Counter[str]()
    beside: dict[str, Counter[_Part]] = {}
    for there in moments:
        for series in {series for series, _ in there}:
            num_moments[series] += 1
            beside.setdefault(series, Counter()).update(there)
    return {
        series: {part for part, num in parts.items() if num >= num_moments[series] - 1 > 0}
        for series, parts in beside.items()
    }
