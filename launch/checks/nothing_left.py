"""A fault may come when all is trained and saved: then nothing is resumed, and yet something is shown."""

from __future__ import annotations

from resumable.launch.reading.evidence import Evidence

NOTHING_LEFT = "nothing was left to train, and the job ended with the parameters of the uninterrupted run"


def is_nothing_left(evidence: Evidence) -> bool:
    """Whether every rank had done all its steps, was started again, and ended at once with the right parameters."""
    history = evidence.faulted.history
    before, after = history.incarnations[:-1], history.incarnations[-1:]
    if not before or not evidence.references:
        return False
    num_done = {timeline.rank: len(timeline.steps) for timeline in evidence.faulted.timelines}
    right = {process.rank: process.exit for process in evidence.references[0].history.processes}
    found = {process.rank: process.exit for number in after for process in history.group(number)}
    return all(
        exit_ is not None
        and exit_.parameters is not None
        and (ended := found.get(rank)) is not None
        and (ended.code, ended.parameters) == (exit_.code, exit_.parameters)
        and num_done.get(rank) == len(evidence.expected.get(rank, ()))
        for rank, exit_ in right.items()
    )
