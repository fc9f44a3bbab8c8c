"""Ranks that whoever started them ended once they were done, as some launchers do: none can say that it came to its end.

What a rank had trained by then says it as well: all that an undisturbed run trains, with the same parameters at the end.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from resumable.launch.evidence.history import History
from resumable.launch.reading.failures import planned_ends
from resumable.launch.reading.lives import Run
from resumable.launch.reading.steps import Steps


def with_dismissals(run: Run, expected: Mapping[int, Steps]) -> History | None:
    """The history of a run with the ends that nobody saw, if each rank of its last group had then done all.

    Args:
        run: Of ranks that somebody else started.
        expected: What each rank does in another run, which was not disturbed.

    Returns:
        None where there is nothing to add.
    """
    history = run.history
    last = max(history.incarnations, default=None)
    if last is None or last in planned_ends(run) or not all(round_.group for round_ in history.rounds):
        return None
    group = history.group(last)
    ranks = {process.rank for process in group}
    is_over = all(process.exit is None or process.has_ended_well for process in group)
    has_unseen_end = any(process.exit is None for process in group)
    if not (is_over and has_unseen_end and ranks == expected.keys() and len(ranks) == history.world_size(last)):
        return None
    if not all(_is_done(run, rank, steps) for rank, steps in expected.items()):
        return None
    processes = tuple(
        msgspec.structs.replace(process, was_dismissed=process.incarnation == last and process.exit is None)
        for process in history.processes
    )
    ends = tuple(msgspec.structs.replace(end, outcome="succeeded") for end in history.ends)
    return msgspec.structs.replace(history, processes=processes, ends=ends)


def _is_done(run: Run, rank: int, expected: Steps) -> bool:
    timeline = run.timeline(rank)
    if timeline is None or not 0 < len(timeline.steps) == len(expected):
        return False
    return timeline.steps[-1:].first_difference(expected[-1:], "afters") is None
