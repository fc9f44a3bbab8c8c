import msgspec
import pytest

from resumable.launch.checks.hygiene import hygiene
from resumable.launch.evidence.history import History
from resumable.launch.evidence.node_records import NodeEnded
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.outcome import Outcome
from tests.launch import histories
from tests.launch.histories import Job

HISTORY = histories.one_kill().faulted.history


def judged(history: History, **flags: str) -> CheckResult:
    evidence = histories.of_histories(history, Job(), [])
    plan = msgspec.structs.replace(evidence.plan, torchrun={**evidence.plan.torchrun, **flags})
    return hygiene(msgspec.structs.replace(evidence, plan=plan))


def test_a_clean_end_with_all_logs_is_valid():
    """No process left, and a log for every rank of every incarnation."""
    result = judged(HISTORY)
    assert (result.outcome, result.summary) == (Outcome.VALID, "no process left, 8 logs kept")


def test_a_process_that_outlived_the_run_is_invalid():
    """Its id is said."""
    end = NodeEnded(node=0, outcome="succeeded", time_ns=0, leftover_pids=[4711])
    result = judged(msgspec.structs.replace(HISTORY, ends=(end,)))
    assert (result.outcome, result.summary) == (Outcome.INVALID, "1 process of the job outlived it: 4711")


def test_a_missing_log_is_unknown():
    """The first one that is missing is named."""
    result = judged(msgspec.structs.replace(HISTORY, logs=HISTORY.logs - {"i000/rank1.err"}))
    assert (result.outcome, result.summary) == (
        Outcome.UNKNOWN,
        "1 log missing, the first is faulted/logs/i000/rank1.err",
    )


def test_either_stream_is_a_log():
    """A rank that is silent leaves one of them."""
    logs = frozenset(log.replace(".err", ".out") for log in HISTORY.logs)
    assert judged(msgspec.structs.replace(HISTORY, logs=logs)).outcome == Outcome.VALID


@pytest.mark.parametrize(
    ("flags", "outcome"), [({"redirects": "0"}, Outcome.VALID), ({"redirects": "0", "tee": "3"}, Outcome.UNKNOWN)]
)
def test_ranks_that_wrote_to_the_console_alone_need_no_logs(flags, outcome):
    """`resumable run` redirects nothing unless it is told to."""
    assert outcome == judged(msgspec.structs.replace(HISTORY, logs=frozenset()), **flags).outcome
