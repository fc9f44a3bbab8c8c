import msgspec
import pytest

from launch.checks.progress import progress
from launch.checks.result import CheckResult, Outcome
from launch.history import History
from launch.records import Exit, NodeEnded, RankFailure
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job()


def judged(history: History) -> CheckResult:
    return progress(histories.of_histories(history, JOB, [histories.sigkill(4)]))


def whole() -> History:
    return histories.one_kill(JOB).faulted.history


def with_end(history: History, rank: int, *lines: Exit) -> History:
    """The last process of a rank ends with these lines instead of its own."""
    process = next(p for p in history.group(history.incarnations[-1]) if p.rank == rank)
    changed = msgspec.structs.replace(process, records=(*process.records[:-1], *lines))
    return msgspec.structs.replace(history, processes=tuple(changed if p is process else p for p in history.processes))


def test_one_planned_restart_and_a_good_end_is_valid():
    """As many incarnations as faults that fired, and one more."""
    assert judged(whole()).outcome == Outcome.VALID


def test_a_script_that_leaves_by_sys_exit_0_ends_well():
    """`sys.exit(0)` is an end in order."""
    leaving = Exit(sequence=0, time_ns=0, reason="system_exit", code=0)
    assert judged(with_end(whole(), 1, leaving)).outcome == Outcome.VALID


def test_an_unplanned_death_is_invalid_and_says_whose():
    """The first error that is no consequence of another rank's death is shown, with the log to look at."""
    lost = Exit(sequence=0, time_ns=1, reason="exception", code=1, message="RuntimeError: Connection closed by peer")
    cause = Exit(sequence=0, time_ns=2, reason="exception", code=1, message="KeyError: 'sampler'")
    result = judged(with_end(with_end(whole(), 0, lost), 1, cause))
    assert result.outcome == Outcome.INVALID
    assert result.summary == "rank 1 died unplanned in incarnation 1 after 12 steps: KeyError: 'sampler'"
    assert result.violations[0].file == "faulted/logs/i001/rank1.err"


@pytest.mark.parametrize(
    ("exit_code", "words"), [(-9, "killed by signal 9 (SIGKILL)"), (1, "ended with exit code 1, without a word")]
)
def test_a_process_that_vanished_is_told_by_its_exit_code(exit_code, words):
    """A process that was killed from outside leaves no word; the agent knows how it ended."""
    failure = RankFailure(rank=1, pid=1001, exit_code=exit_code)
    end = NodeEnded(node=0, outcome="failed", time_ns=0, failures=[failure])
    history = msgspec.structs.replace(with_end(whole(), 1), ends=(end,))
    result = judged(history)
    assert result.outcome == Outcome.INVALID
    assert result.summary.endswith(words)


def test_a_death_before_any_fault_is_unknown():
    """A job that fails before anything was done to it says nothing about its restart."""
    error = Exit(sequence=0, time_ns=0, reason="exception", code=1, message="OSError: no such file")
    history = histories.evidence(JOB, [histories.resumed(JOB, 0)], []).faulted.history
    assert judged(with_end(history, 0, error)).outcome == Outcome.UNKNOWN


def test_nothing_started_after_the_fault_is_unknown():
    """A job that was not restarted proves nothing."""
    history = histories.evidence(JOB, [histories.killed(JOB, 5)], []).faulted.history
    result = judged(history)
    assert (result.outcome, result.summary) == (Outcome.UNKNOWN, "nothing was started again after the last fault")


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((), "no node said how it ended"),
        ((NodeEnded(node=0, outcome="interrupted", time_ns=0, message="SIGINT"),), "node 0 interrupted: SIGINT"),
    ],
)
def test_a_node_that_did_not_succeed_is_unknown(ends, words):
    """The ranks' word is not enough."""
    result = judged(msgspec.structs.replace(whole(), ends=ends))
    assert (result.outcome, result.summary) == (Outcome.UNKNOWN, words)


def test_a_start_that_was_ended_by_the_fault_may_fail():
    """With a restart of the whole command, only the last start of each node must succeed."""
    ends = (NodeEnded(node=0, outcome="failed", time_ns=0), NodeEnded(node=0, outcome="succeeded", time_ns=1))
    assert judged(msgspec.structs.replace(whole(), ends=ends)).outcome == Outcome.VALID


def test_a_rank_without_an_ending_is_unknown():
    """All announced ranks of the last incarnation must have ended."""
    history = whole()
    gone = tuple(p for p in history.processes if (p.incarnation, p.rank) != (1, 1))
    assert judged(msgspec.structs.replace(history, processes=gone)).summary == "only 1 of 2 ranks left an ending"


def test_no_rank_at_all_is_unknown():
    """Nothing was started."""
    assert judged(History(name="faulted")).outcome == Outcome.UNKNOWN
