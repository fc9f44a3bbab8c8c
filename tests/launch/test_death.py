import msgspec
import pytest

from launch.death import firings, planned_deaths, unplanned_death
from launch.history import History
from launch.records import AnyRecord, Batch, Exit, FaultFired
from launch.timeline import Run
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
    firing = firings(histories.one_kill(JOB).faulted)[0]
    assert (firing.fault, firing.life.rank, firing.life.incarnation, firing.num_steps) == (0, 1, 0, 5)


def test_the_restart_takes_until_the_first_batch_of_the_next_incarnation():
    """Both times come from one monotonic clock."""
    history = timed(histories.one_kill(JOB).faulted.history)
    plan = histories.plan(histories.sigkill(4))
    death = planned_deaths(run_of(history), plan.scenarios[-1])[0]
    assert pytest.approx(death.restart_s, abs=1e-6) == 1.5


def test_a_fault_that_nothing_followed_has_no_restart_time():
    """The job was not started again."""
    history = histories.evidence(JOB, [histories.killed(JOB, 5)], []).faulted.history
    plan = histories.plan(histories.sigkill(4))
    assert planned_deaths(run_of(history), plan.scenarios[-1])[0].restart_s is None


def test_an_end_in_order_is_no_death():
    """Every rank finished."""
    assert unplanned_death(histories.one_kill(JOB).faulted, 1) is None


@pytest.mark.parametrize(
    ("messages", "rank"),
    [
        (("ValueError: first", "ValueError: second"), 0),
        (("RuntimeError: [gloo] Connection reset by peer", "ValueError: second"), 1),
        (("RuntimeError: Broken pipe", "torch.distributed.DistNetworkError: gone"), 0),
    ],
)
def test_the_first_rank_that_did_not_only_lose_its_connection_is_to_blame(messages, rank):
    """When one rank dies, the others say that it is gone."""
    history = histories.one_kill(JOB).faulted.history
    processes = tuple(
        msgspec.structs.replace(
            process,
            records=(
                *process.records[:-1],
                Exit(sequence=0, time_ns=process.rank, reason="exception", code=1, message=messages[process.rank]),
            ),
        )
        for process in history.processes
    )
    death = unplanned_death(run_of(msgspec.structs.replace(history, processes=processes)), 1)
    assert death is not None
    assert (rank, messages[rank], f"faulted/logs/i001/rank{rank}.err") == (death.rank, death.what, death.log)
