"""Ranks that were ended by whoever started them: what they had done by then decides."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from resumable.launch.checks.check import Check
from resumable.launch.checks.exactly_once import exactly_once
from resumable.launch.checks.progress import progress
from resumable.launch.checks.reference import reference
from resumable.launch.evidence.history import History
from resumable.launch.evidence.rank_records import Exit
from resumable.launch.explain.outcome import Outcome
from tests.launch import histories
from tests.launch.histories import Job, Life, with_lines

JOB = Job()
WHOLE = [Life(epochs=JOB.epochs_from(rank, 4), base=4, loads=histories.path_of(4)) for rank in range(2)]
SHORT = [replace(life, epochs=life.epochs[:-1]) for life in WHOLE]
ELSEWHERE = [replace(life, start=JOB.state(3)) for life in WHOLE]
RAISED = Exit(sequence=0, time_ns=0, reason="exception", code=1, message="ValueError: no such column")


def started_by_somebody_else(history: History, *, ended_by_him: bool = True) -> History:
    """The same without a word from nodes, and from the last ranks on how they ended."""
    last = history.incarnations[-1]
    rounds = tuple(msgspec.structs.replace(one, group=f"group {one.incarnation}") for one in history.rounds)
    processes = tuple(
        msgspec.structs.replace(one, records=one.records[:-1]) if ended_by_him and one.incarnation == last else one
        for one in history.processes
    )
    ends = tuple(msgspec.structs.replace(end, outcome="failed") for end in history.ends)
    return msgspec.structs.replace(
        history, rounds=rounds, processes=processes, ends=ends if ended_by_him else history.ends
    )


def faulted(lives: list[Life]) -> History:
    return histories.evidence(JOB, [histories.killed(JOB, 5), lives], [histories.sigkill(4)]).faulted.history


def outcome(check: Check, history: History, **references: History) -> Outcome:
    return check(histories.of_histories(history, JOB, [histories.sigkill(4)], **references)).outcome


@pytest.mark.parametrize("check", [progress, exactly_once])
@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        pytest.param(WHOLE, Outcome.VALID, id="all was trained"),
        pytest.param(SHORT, Outcome.UNKNOWN, id="an epoch is missing"),
    ],
)
def test_ranks_that_had_trained_all_are_done(check: Check, lives: list[Life], expected: Outcome) -> None:
    """Those that had not may have been ended too early."""
    assert outcome(check, started_by_somebody_else(faulted(lives))) == expected


def test_the_same_number_of_steps_is_not_enough() -> None:
    """A job that ended with different parameters has not done what the undisturbed one does."""
    assert outcome(progress, started_by_somebody_else(faulted(ELSEWHERE))) == Outcome.UNKNOWN


def test_a_rank_that_raised_was_not_done() -> None:
    """Whoever ended the others may have done it for that."""
    history = started_by_somebody_else(faulted(WHOLE))
    *others, last = history.processes
    history = msgspec.structs.replace(history, processes=(*others, with_lines(last, [RAISED])))
    assert outcome(progress, history) == Outcome.UNKNOWN


def test_ranks_of_ours_have_nodes_that_see_how_they_end() -> None:
    """There a missing end is missing."""
    history = started_by_somebody_else(faulted(WHOLE))
    rounds = tuple(msgspec.structs.replace(one, group="") for one in history.rounds)
    assert outcome(progress, msgspec.structs.replace(history, rounds=rounds)) == Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(JOB, Outcome.VALID, id="equal"),
        pytest.param(replace(JOB, num_epochs=2), Outcome.UNKNOWN, id="one is shorter"),
    ],
)
def test_undisturbed_runs_are_measured_by_each_other(second: Job, expected: Outcome) -> None:
    """A launcher that ends ranks once they are done does so in each of them, after the same step."""
    pair = [started_by_somebody_else(histories.reference(job, number)) for number, job in ((1, JOB), (2, second))]
    whole = started_by_somebody_else(faulted(WHOLE))
    assert outcome(reference, whole, first=pair[0], second=pair[1]) == expected
