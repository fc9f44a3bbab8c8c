from dataclasses import replace

import msgspec
import pytest

from resumable.launch.checks.progress import progress
from resumable.launch.evidence.history import History
from resumable.launch.evidence.node_records import NodeEnded, NodeFaultActed, RankFailure, RoundStarted
from resumable.launch.evidence.rank_records import AnyRecord, Error, Exit, Rename, Save
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.outcome import Outcome
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import PlannedFault, resolve
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job()
IN_COLLECTIVE = Error(type="builtins.RuntimeError", module="torch.distributed.distributed_c10d")


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


def test_ranks_that_went_on_from_different_steps_are_why_they_died():
    """They soon wait for each other in vain."""
    groups = [histories.killed(JOB, 5), [histories.resumed(JOB, 4)[0], histories.resumed(JOB, 2)[1]]]
    evidence = histories.evidence(JOB, groups, [histories.sigkill(4)])
    dead = Exit(sequence=0, time_ns=0, reason="exception", code=1, message="Connection closed by peer")
    result = judged(with_end(evidence.faulted.history, 1, dead))
    expected = "rank 0 went on from step 4, rank 1 went on from step 2"
    assert (Outcome.INVALID, expected) == (result.outcome, result.violations[0].explanation)


def test_a_rank_that_left_too_soon_is_why_another_died():
    """Nobody answers it any more."""
    groups = [histories.killed(JOB, 5), [replace(life, stop_after=3) for life in histories.resumed(JOB, 4)]]
    processes = [
        process
        for incarnation, lives in enumerate(groups)
        for process in histories.group(JOB, lives, incarnation=incarnation)
    ]
    ends = (("finished", 0, ""), ("exception", 1, "Connection closed by peer"))
    for number, (reason, code, message) in enumerate(ends, start=2):
        line = Exit(sequence=0, time_ns=0, reason=reason, code=code, message=message)
        processes[number] = histories.with_lines(processes[number], [line])
    result = judged(histories.history("faulted", processes))
    expected = "rank 0 had left with exit code 0 after 7 steps"
    assert (Outcome.INVALID, expected) == (result.outcome, result.violations[0].explanation)


def test_a_script_that_leaves_by_sys_exit_0_ends_well():
    """`sys.exit(0)` is an end in order."""
    leaving = Exit(sequence=0, time_ns=0, reason="system_exit", code=0)
    assert judged(with_end(whole(), 1, leaving)).outcome == Outcome.VALID


def test_an_unplanned_death_is_invalid_and_says_whose():
    """The first error that is no consequence of another rank's death is shown, with the log to look at."""
    lost = Exit(sequence=0, time_ns=1, reason="exception", code=1, message="RuntimeError: closed", error=IN_COLLECTIVE)
    own = Error(type="builtins.KeyError", module="__main__")
    cause = Exit(sequence=0, time_ns=2, reason="exception", code=1, message="KeyError: 'sampler'", error=own)
    result = judged(with_end(with_end(whole(), 0, lost), 1, cause))
    assert result.outcome == Outcome.INVALID
    assert result.summary == "rank 1 died unplanned in incarnation 1 after 12 steps: KeyError: 'sampler'"
    assert result.violations[0].file == "faulted/logs/i001/rank1.err"


@pytest.mark.parametrize(
    ("exit_code", "outcome", "words"),
    [
        (-9, Outcome.UNKNOWN, "killed by signal 9 (SIGKILL)"),
        (-15, Outcome.UNKNOWN, "killed by signal 15 (SIGTERM)"),
        (-11, Outcome.INVALID, "killed by signal 11 (SIGSEGV)"),
        (1, Outcome.INVALID, "ended with exit code 1, leaving no record"),
    ],
)
def test_a_process_that_vanished_is_told_by_its_exit_code(exit_code, outcome, words):
    """One that was killed leaves no word; the agent knows how it ended. What comes from outside is not the job's doing."""
    failure = RankFailure(rank=1, pid=1001, exit_code=exit_code)
    end = NodeEnded(node=0, outcome="failed", time_ns=0, failures=[failure])
    history = msgspec.structs.replace(with_end(whole(), 1), ends=(end,))
    result = judged(history)
    assert (outcome, True) == (result.outcome, words in result.summary)


@pytest.mark.parametrize(("how", "outcome"), [("interrupted", Outcome.UNKNOWN), ("failed", Outcome.INVALID)])
def test_a_rank_that_leaves_as_the_whole_run_is_stopped_is_not_the_restarts(how, outcome):
    """Ctrl-C, or a scheduler's notice, reaches jobs that save and leave with a code of their own."""
    leaving = Exit(sequence=0, time_ns=0, reason="system_exit", code=143)
    history = msgspec.structs.replace(with_end(whole(), 1, leaving), ends=(NodeEnded(node=0, outcome=how, time_ns=0),))
    assert outcome == judged(history).outcome


@pytest.mark.parametrize(
    ("lost", "outcome"), [("once", Outcome.UNKNOWN), ("for good", Outcome.INVALID)], ids=["once", "for good"]
)
def test_an_error_that_did_not_come_again_is_not_the_restarts(lost, outcome):
    """What a restart does wrong it does wrong again: an error that the next start of the job got past proves nothing."""
    own = Error(type="builtins.ConnectionError", module="urllib3.connection")
    error = Exit(sequence=0, time_ns=0, reason="exception", code=1, message="ConnectionError: no route", error=own)
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 6, base=4, rank=-1), histories.resumed(JOB, 4)]
    processes = [
        process
        for incarnation, lives in enumerate(groups)
        for process in histories.group(JOB, lives, incarnation=incarnation)
    ]
    processes[2:4] = [histories.with_lines(process, [error]) for process in processes[2:4]]
    num_kept = {"once": 6, "for good": 4}[lost]
    result = judged(histories.history("faulted", processes[:num_kept]))
    assert (outcome, True) == (result.outcome, "ConnectionError: no route" in result.summary)


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
        ((), "no node recorded how it ended"),
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


def fault(text: str) -> PlannedFault:
    return resolve([parse_fault(text)], world_size=2, seed=0)[0]


def told_to_stop(kind: str, code: int, *, at: int = 5, restarted: bool = False) -> CheckResult:
    """All ranks stop after `at` steps because rank 1 was asked to, and leave with this code."""
    leaving = Exit(sequence=0, time_ns=0, reason="system_exit", code=code)
    planned = fault(f"{kind}@step={at - 1}:rank=1")
    history = histories.hit(JOB, planned, leaving, at=at)
    groups = [list(history.group(incarnation)) for incarnation in (0, 1)]
    groups[0][0] = histories.with_lines(groups[0][0], [leaving])
    processes = [process for group in groups[: 1 + restarted] for process in group]
    return progress(histories.of_histories(histories.history("faulted", processes), JOB, [planned]))


@pytest.mark.parametrize("kind", ["sigterm", "sigint", "preempt"])
def test_a_job_that_is_taken_for_finished_because_it_was_asked_to_stop_is_invalid(kind):
    """With exit code 0 in mid-training nobody starts it again."""
    result = told_to_stop(kind, 0)
    assert (result.outcome, result.summary) == (
        Outcome.INVALID,
        "rank 1 ended with exit code 0 after 5 of 12 steps, because it was asked to stop",
    )
    assert result.violations[0].advice == "leave with a different exit code, such as 143"


def test_a_job_that_was_asked_to_stop_after_its_last_step_may_say_that_all_is_done():
    """It is."""
    assert told_to_stop("sigterm", 0, at=12).outcome != Outcome.INVALID


@pytest.mark.parametrize("code", [0, 143])
def test_a_job_that_was_asked_to_stop_and_started_again_is_valid(code):
    """Whoever started it knew better, or was told by the exit code."""
    assert told_to_stop("sigterm", code, restarted=True).outcome == Outcome.VALID


def test_a_job_that_was_asked_to_stop_and_never_started_again_proves_nothing():
    """It left with a code that asks for it."""
    result = told_to_stop("sigterm", 143)
    assert (result.outcome, result.summary) == (Outcome.UNKNOWN, "nothing was started again after the last fault")


def test_a_job_that_ends_short_after_its_restart_did_so_for_other_reasons():
    """The notice came to an earlier life; other checks say what is missing."""
    planned = fault("sigterm@step=4:rank=1")
    leaving = Exit(sequence=0, time_ns=0, reason="system_exit", code=0)
    before = histories.hit(JOB, planned, leaving).group(0)
    short = [replace(life, epochs=life.epochs[:-1]) for life in histories.resumed(JOB, 4)]
    after = histories.group(JOB, short, incarnation=1)
    history = histories.history("faulted", [*before, *after])
    assert progress(histories.of_histories(history, JOB, [planned])).outcome == Outcome.VALID


def died_at_the_start(fault_: PlannedFault, *lines: AnyRecord, path: str = "") -> CheckResult:
    """Rank 1 leaves these lines in incarnation 0; in incarnation 1 it cannot load what it finds."""
    history = histories.hit(JOB, fault_, *lines, path=path)
    error = Exit(sequence=0, time_ns=0, reason="exception", code=1, message="RuntimeError: failed finding directory")
    processes = [
        process if process.incarnation == 0 else histories.with_lines(only_started(process), [error])
        for process in history.processes
    ]
    return progress(histories.of_histories(histories.history("faulted", processes), JOB, [fault_]))


def only_started(process):
    return msgspec.structs.replace(process, records=process.records[:1])


HALF = Save(sequence=0, time_ns=0, path="latest.pt", phase="begin")
WHOLE = Save(sequence=0, time_ns=0, path="latest.pt", phase="end")
RENAMED = Rename(sequence=0, time_ns=0, source="latest.pt", target="step-4.pt")
IN_FOLDERS = [
    Save(sequence=0, time_ns=0, path=path, phase="end") for path in ("step-4/model", "step-4/random", "step-8/model")
]
MOVED = Rename(sequence=0, time_ns=0, source="step-4", target="whole-4")


@pytest.mark.parametrize(
    ("kind", "lines", "path", "words"),
    [
        pytest.param("sigkill", [HALF], "", "latest.pt was left half written", id="half written"),
        pytest.param("sigkill", [HALF, WHOLE, HALF], "", "latest.pt was left half written", id="written over"),
        pytest.param("torn", [], "step-4.pt", "step-4.pt was damaged (torn)", id="torn"),
        pytest.param("corrupt", [], "step-4.pt", "step-4.pt was damaged (corrupt)", id="corrupt"),
        pytest.param("torn", [], "step-4/__1_0.distcp", "step-4/__1_0.distcp was damaged", id="a folder"),
        pytest.param("sigkill", [HALF, WHOLE], "", "see its log", id="whole"),
        pytest.param("sigkill", [HALF, WHOLE, RENAMED, HALF], "", "see its log", id="a temporary name"),
        pytest.param(
            "sigkill", [*IN_FOLDERS], "", "step-8 was left half written", id="a folder without one of its files"
        ),
        pytest.param("sigkill", [*IN_FOLDERS, MOVED], "", "see its log", id="a folder that has a temporary name"),
    ],
)
def test_a_job_that_cannot_go_on_from_its_checkpoint_is_told_why(kind, lines, path, words):
    """What was left half written or was damaged explains a death before the first step; else the log must."""
    result = died_at_the_start(fault(f"{kind}@step=4:rank=1"), *lines, path=path)
    assert result.outcome == Outcome.INVALID
    assert words in result.violations[0].explanation


def test_a_job_that_trained_could_read_its_checkpoint():
    """Whatever ended it later, a damaged file did not."""
    error = Exit(sequence=0, time_ns=0, reason="exception", code=1, message="KeyError: 'sampler'")
    planned = fault("torn@step=4:rank=1")
    history = with_end(histories.hit(JOB, planned, path="step-4.pt"), 1, error)
    result = progress(histories.of_histories(history, JOB, [planned]))
    assert result.violations[0].explanation == "see its log, faulted/logs/i001/rank1.err"


def cut_short(**changes: object) -> CheckResult:
    """All ranks of incarnation 0 ended after five steps, though no rank was hit."""
    lost = Exit(sequence=0, time_ns=0, reason="exception", code=1, message="RuntimeError: Connection closed by peer")
    groups = [histories.killed(JOB, 5, rank=-1), histories.resumed(JOB, 4)]
    processes = [
        process
        for incarnation, lives in enumerate(groups)
        for process in histories.group(JOB, lives, incarnation=incarnation)
    ]
    ended = [histories.with_lines(process, [lost]) for process in processes[:2]] + processes[2:]
    return judged(histories.history("faulted", ended, **changes))


def round_(incarnation: int, num_nodes: int) -> RoundStarted:
    return RoundStarted(
        incarnation=incarnation, node=0, num_nodes=num_nodes, ranks=[0, 1], world_size=2, time_ns=10 * incarnation
    )


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        pytest.param({}, Outcome.UNKNOWN, id="nobody knows why"),
        pytest.param(
            {"acts": (NodeFaultActed(fault=0, node=0, act="lost", time_ns=5),)}, Outcome.VALID, id="a node was lost"
        ),
        pytest.param(
            {"acts": (NodeFaultActed(fault=0, node=0, act="healed", time_ns=15),)}, Outcome.UNKNOWN, id="but later"
        ),
        pytest.param({"rounds": (round_(0, 1), round_(1, 2))}, Outcome.VALID, id="a node joined"),
        pytest.param({"rounds": (round_(0, 2), round_(1, 1))}, Outcome.UNKNOWN, id="a node went by itself"),
    ],
)
def test_an_incarnation_may_end_because_of_a_node(changes, outcome):
    """One that was taken away or that joined; nobody else may end it."""
    base = {"rounds": (round_(0, 1), round_(1, 1))}
    assert cut_short(**{**base, **changes}).outcome == outcome
