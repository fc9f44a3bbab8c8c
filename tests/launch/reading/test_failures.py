import msgspec
import pytest

from resumable.launch.evidence.history import History
from resumable.launch.evidence.node_records import NodeEnded, RankEnded, RankFailure
from resumable.launch.evidence.rank_records import AnyRecord, Batch, Error, Exit, FaultFired, Step
from resumable.launch.plan.plan import Scenario
from resumable.launch.reading.failures import fired_faults, first_cause, unplanned_death
from resumable.launch.reading.lives import Run
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job()


def run_of(history: History) -> Run:
    return histories.of_histories(history, JOB, [histories.sigkill(4)]).faulted


def at(line: AnyRecord, incarnation: int) -> AnyRecord:
    """Incarnation 0 dies two seconds after the epoch of the clock; incarnation 1 receives batches from 3.5 s on."""
    if isinstance(line, FaultFired):
        return msgspec.structs.replace(line, time_ns=2_000_000_000)
    if isinstance(line, Batch) and incarnation == 1:
        return msgspec.structs.replace(line, time_ns=3_500_000_000 + line.sequence)
    return line


def timed(history: History) -> History:
    processes = tuple(
        msgspec.structs.replace(process, records=tuple(at(line, process.incarnation) for line in process.records))
        for process in history.processes
    )
    return msgspec.structs.replace(history, processes=processes)


def test_a_fault_that_fired_is_found_with_the_steps_done():
    """On the rank and in the incarnation of the process that recorded it."""
    firing = histories.one_kill(JOB).faulted.firings[0]
    assert (firing.fault, firing.life.rank, firing.life.incarnation, firing.num_steps) == (0, 1, 0, 5)


def test_the_restart_takes_until_the_first_batch_of_the_next_incarnation():
    """Both times come from one monotonic clock."""
    history = timed(histories.one_kill(JOB).faulted.history)
    plan = histories.plan(histories.sigkill(4))
    death = fired_faults(run_of(history), plan.scenarios[-1])[0]
    assert pytest.approx(death.restart_s, abs=1e-6) == 1.5


def test_a_fault_that_nothing_followed_has_no_restart_time():
    """The job was not started again."""
    history = histories.evidence(JOB, [histories.killed(JOB, 5)], []).faulted.history
    plan = histories.plan(histories.sigkill(4))
    assert fired_faults(run_of(history), plan.scenarios[-1])[0].restart_s is None


def test_an_end_in_order_is_no_death():
    """Every rank finished."""
    assert unplanned_death(histories.one_kill(JOB).faulted, 1) is None


def error(kind: str, module: str = "__main__") -> Error:
    return Error(type=kind, module=module)


IN_COLLECTIVE = error("builtins.RuntimeError", "torch.distributed.distributed_c10d")
IN_BACKWARD = error("builtins.RuntimeError", "torch.autograd.graph")
OF_TORCH = error("torch.distributed.DistNetworkError")
OF_SCRIPT = error("builtins.RuntimeError")


@pytest.mark.parametrize(
    ("errors", "rank"),
    [
        pytest.param((OF_SCRIPT, OF_SCRIPT), 0, id="the first of two that failed by themselves"),
        pytest.param((IN_COLLECTIVE, OF_SCRIPT), 1, id="gloo noticed first that the other was gone"),
        pytest.param((IN_BACKWARD, OF_SCRIPT), 1, id="in the collective of DDP"),
        pytest.param((OF_TORCH, OF_SCRIPT), 1, id="the script raised it again"),
        pytest.param((IN_BACKWARD, OF_TORCH), 0, id="the first of two that may have failed by themselves"),
        pytest.param((error("builtins.ValueError", "torch.autograd.graph"), OF_SCRIPT), 0, id="a hook of the script's"),
        pytest.param((None, OF_SCRIPT), 0, id="nobody recorded an error"),
    ],
)
def test_the_first_rank_that_did_not_only_lose_its_connection_is_to_blame(errors, rank):
    """When one rank dies, the others fail in communication, whatever the message."""
    history = histories.one_kill(JOB).faulted.history
    processes = tuple(
        msgspec.structs.replace(
            process,
            records=(
                *process.records[:-1],
                Exit(sequence=0, time_ns=process.rank, reason="exception", code=1, error=errors[process.rank]),
            ),
        )
        for process in history.processes
    )
    death = unplanned_death(run_of(msgspec.structs.replace(history, processes=processes)), 1)
    assert death is not None
    kind = errors[rank].type if errors[rank] else ""
    assert (rank, kind, f"faulted/logs/i001/rank{rank}.err") == (death.rank, death.error, death.log)


def both_end(first: Exit | None, second: Exit | None, *ends: RankEnded, **changes: object) -> Run:
    """How both ranks of the last incarnation end; None: killed, with no word."""
    history = histories.one_kill(JOB).faulted.history
    words = {0: first, 1: second}
    processes = tuple(
        msgspec.structs.replace(process, records=(*process.records[:-1], *filter(None, [words[process.rank]])))
        if process.incarnation == 1
        else process
        for process in history.processes
    )
    return run_of(msgspec.structs.replace(history, processes=processes, rank_ends=ends, **changes))


def said(time_ns: int, *, code: int = 1, message: str = "", error: Error | None = None) -> Exit:
    return Exit(sequence=0, time_ns=time_ns, reason="system_exit", code=code, message=message, error=error)


def gone(rank: int, time_ns: int, exit_code: int | None) -> RankEnded:
    return RankEnded(incarnation=1, rank=rank, pid=1000 + rank, time_ns=time_ns, exit_code=exit_code)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        pytest.param(
            both_end(said(10, code=7), said(11, code=9), gone(0, 14, 7), gone(1, 13, 9)),
            (0, "exit code 7", 7),
            id="left a nanosecond before the other, and was gone later",
        ),
        pytest.param(
            both_end(None, said(12, message="ValueError: second"), gone(0, 11, -9), gone(1, 13, 1)),
            (0, "killed by signal 9 (SIGKILL)", 137),
            id="killed before the other's words",
        ),
        pytest.param(
            both_end(None, said(10, message="ValueError: second"), gone(0, 90_000_000, -9), gone(1, 90_000_000, 1)),
            (0, "killed by signal 9 (SIGKILL)", 137),
            id="killed, and seen to be gone a moment later",
        ),
        pytest.param(
            both_end(None, said(10, message="ValueError: first"), gone(0, 11, -15), gone(1, 12, 1)),
            (1, "ValueError: first", 1),
            id="killed after the other's words, though the other was gone later",
        ),
        pytest.param(
            both_end(None, said(10, code=7), gone(0, 5_000_000_011, -9), gone(1, 12, 7)),
            (1, "exit code 7", 7),
            id="killed when its time of grace after the other's end was over",
        ),
        pytest.param(
            both_end(None, None, gone(0, 12, -9), gone(1, 11, -6)),
            (1, "killed by signal 6 (SIGABRT)", 134),
            id="killed a nanosecond before the other",
        ),
        pytest.param(
            both_end(None, said(10, error=IN_COLLECTIVE), gone(0, 11, -11), gone(1, 12, 1)),
            (0, "killed by signal 11 (SIGSEGV)", 139),
            id="who only lost its connection dragged nobody along",
        ),
        pytest.param(
            both_end(None, said(9, code=0), gone(0, 11, 3), gone(1, 10, 0)),
            (0, "ended with exit code 3, leaving no record", 3),
            id="who ended well is not to blame",
        ),
        pytest.param(
            both_end(None, said(9, code=0), gone(0, 11, -40)),
            (0, "killed by signal 40 (a real-time signal)", 168),
            id="a signal without a name",
        ),
        pytest.param(
            both_end(None, said(9, code=0)),
            (0, "left no record of its end: it was killed, or could record no more", None),
            id="nobody knows",
        ),
    ],
)
def test_the_first_cause_is_told_by_nanoseconds(run, expected):
    """A rank that spoke failed when it did; one that could not when its process was gone, as its node saw it."""
    death = unplanned_death(run, 1)
    assert death is not None
    assert expected == (death.rank, death.what, death.exit_code)


def test_what_the_agent_says_helps_where_nobody_saw_a_rank_go():
    """Its exit code, though not its time."""
    failure = RankFailure(rank=0, pid=1000, exit_code=-9)
    ends = (NodeEnded(node=0, outcome="failed", time_ns=0, failures=[failure]),)
    death = unplanned_death(both_end(None, said(9, code=0), ends=ends), 1)
    assert death is not None
    assert (death.what, death.exit_code) == ("killed by signal 9 (SIGKILL)", 137)


@pytest.mark.parametrize(("code", "expected"), [(-9, 137), (-6, 134), (3, 3)])
def test_a_planned_death_has_its_exit_code(code, expected):
    """As a shell gives it."""
    end = RankEnded(incarnation=0, rank=1, pid=1, time_ns=0, exit_code=code)
    history = msgspec.structs.replace(histories.one_kill(JOB).faulted.history, rank_ends=(end,))
    plan = histories.plan(histories.sigkill(4))
    assert [death.exit_code for death in fired_faults(run_of(history), plan.scenarios[-1])] == [expected]


def last_life_of(*lines: AnyRecord) -> tuple[Run, Scenario]:
    """Incarnation 0 alone, in which rank 1 is hit and then leaves these lines."""
    planned = histories.sigkill(4)
    whole = histories.hit(JOB, planned, *lines)
    only = [process for process in whole.processes if process.incarnation == 0]
    evidence = histories.of_histories(histories.history("faulted", only), JOB, [planned])
    return evidence.faulted, evidence.scenario


def test_a_fault_that_its_rank_did_not_survive_ended_the_job():
    """It is named as it was planned."""
    cause = first_cause(*last_life_of())
    assert cause is not None
    assert (cause.what, cause.is_planned, cause.rank) == ("sigkill@step=4:rank=1", True, 1)


def test_a_fault_that_its_rank_survived_is_not_what_ended_the_job():
    """It trained on, and failed later for another reason."""
    step = Step(sequence=0, time_ns=0, step=5)
    died = Exit(sequence=0, time_ns=0, reason="exception", code=1, message="ValueError: of its own")
    cause = first_cause(*last_life_of(step, died))
    assert cause is not None
    assert (cause.what == "sigkill@step=4:rank=1", cause.is_planned) == (False, False)
