"""Two cases in which a comparison after the restart means something else than it seems to."""

from __future__ import annotations

from collections.abc import Iterable

from resumable.launch.explain.check_result import Violation
from resumable.launch.reading.evidence import Evidence

HAD_FINISHED = "nothing was left to train, and the job ended with the parameters of the uninterrupted run"


def had_finished_before_fault(evidence: Evidence) -> bool:
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


def differs_before_any_fault(violations: Iterable[Violation], evidence: Evidence) -> bool:
    """Whether a difference came before the first restart, and before any fault that the job survived there.

    Then the job does not repeat itself, and the difference accuses nobody.
    """
    first_life = [firing for firing in evidence.faulted.firings if firing.life.incarnation == 0]
    first_survived = min((firing.num_steps for firing in first_life if firing.was_survived), default=float("inf"))
    return any(violation.incarnation == 0 and (violation.step or 0) < first_survived for violation in violations)
