from collections.abc import Callable

import msgspec
import pytest

from resumable.launch.checks.saved_state import saved_state
from resumable.launch.evidence.history import History
from resumable.launch.evidence.rank_records import AnyRecord, Save, Step
from resumable.launch.explain.outcome import Outcome
from resumable.launch.explain.result import CheckResult
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job(num_samples=32)
Change = Callable[[AnyRecord], AnyRecord]


def with_content(history: History, average: str, *, after: int = 0) -> History:
    """Every checkpoint of the incarnations from `after` on holds a model and this average."""

    def told(line: AnyRecord) -> AnyRecord:
        is_begin = isinstance(line, Save) and line.phase == "begin"
        return msgspec.structs.replace(line, content={"model": "m", "average": average}) if is_begin else line

    return changed(history, told, after=after)


def changed(history: History, change: Change, *, after: int) -> History:
    processes = tuple(
        msgspec.structs.replace(process, records=tuple(map(change, process.records)))
        if process.incarnation >= after
        else process
        for process in history.processes
    )
    return msgspec.structs.replace(history, processes=processes)


def judged(history: History, *, second: str = "a") -> CheckResult:
    references = {
        "first": with_content(histories.reference(JOB, 1), "a"),
        "second": with_content(histories.reference(JOB, 2), second),
    }
    return saved_state(histories.of_histories(history, JOB, [], **references))


def faulted(average: str) -> History:
    return with_content(with_content(histories.one_kill(JOB).faulted.history, "a"), average, after=1)


def test_the_same_tensors_at_the_same_step_are_valid():
    """As often as the job has saved after the restart."""
    result = judged(faulted("a"))
    assert (result.outcome, result.summary) == (Outcome.VALID, "10 saves after a restart, with the same tensors")


def test_a_part_of_the_state_that_was_not_restored_is_named():
    """Neither a batch nor a parameter tells of it."""
    result = judged(faulted("b"))
    words = "rank 0 saved different tensors under 'average' after 6 steps than the uninterrupted run"
    assert (result.outcome, result.summary) == (Outcome.INVALID, words)
    assert "was not restored" in result.violations[0].explanation


def other_parameters(line: AnyRecord) -> AnyRecord:
    return msgspec.structs.replace(line, after="other") if isinstance(line, Step) else line


def test_what_follows_from_other_parameters_is_another_checks_matter():
    """Nothing is told twice."""
    assert judged(changed(faulted("b"), other_parameters, after=1)).outcome == Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("second", ["b", "c"])
def test_a_job_that_never_saves_the_same_twice_is_not_judged(second):
    """It may save the time of day."""
    assert judged(faulted("b"), second=second).outcome == Outcome.NOT_APPLICABLE


def test_what_a_thread_saves_is_of_no_sure_step():
    """It may come to it a step later than in the uninterrupted run."""

    def by_thread(line: AnyRecord) -> AnyRecord:
        return msgspec.structs.replace(line, writer="thread") if isinstance(line, Save) else line

    assert judged(changed(faulted("b"), by_thread, after=1)).outcome == Outcome.NOT_APPLICABLE


def test_saves_without_a_counterpart_are_not_compared():
    """An emergency checkpoint comes at a step at which the uninterrupted run saves nothing."""
    assert saved_state(histories.of_histories(faulted("b"), JOB, [])).outcome == Outcome.NOT_APPLICABLE


def test_nothing_to_compare_with_is_not_applicable():
    """`resumable run` has no reference."""
    evidence = msgspec.structs.replace(histories.one_kill(JOB), references=())
    assert saved_state(evidence).outcome == Outcome.NOT_APPLICABLE
