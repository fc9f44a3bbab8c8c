import msgspec
import pytest

from launch.checks.fault_fired import fault_fired
from launch.checks.result import Outcome
from launch.faults import Fault, Kind, Point, When
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job()


def judged(*faults: Fault, at: int = 5):
    groups = [histories.killed(JOB, at), histories.resumed(JOB, 4)]
    return fault_fired(histories.evidence(JOB, groups, faults))


def at_resume(num_steps: int) -> Fault:
    return Fault(number=0, kind=Kind.SIGKILL, when=When(Point.RESUME, (num_steps,)), rank=1)


def test_a_fault_that_fired_as_planned_is_valid():
    """Its record is there, from its rank, after its step."""
    result = judged(histories.sigkill(4))
    assert (result.outcome, result.summary) == (Outcome.VALID, "1 fault, in incarnation 0")


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        pytest.param([], "no fault was planned", id="none"),
        pytest.param(
            [histories.sigkill(4, rank=7, number=1)], "rank 7 does not exist among 2 ranks", id="no such rank"
        ),
        pytest.param([histories.sigkill(99, number=1)], "training ended after 12 steps", id="no such step"),
        pytest.param([histories.sigkill(4, rank=0)], "fired on rank 1", id="wrong rank"),
        pytest.param([histories.sigkill(3)], "fired at another moment, when 5 steps were done", id="wrong step"),
        pytest.param([at_resume(0)], "fired at another moment", id="before any restart"),
    ],
)
def test_a_fault_that_did_not_fire_as_planned_is_unknown(faults, words):
    """Never VALID, and the reason is said."""
    result = judged(*faults)
    assert result.outcome == Outcome.UNKNOWN
    assert words in result.summary


def test_a_fault_after_a_restart_fires_in_a_later_incarnation():
    """`resume+1` is one step after the restart."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 5, base=4, fault=1), histories.resumed(JOB, 4)]
    faults = [histories.sigkill(4), msgspec.structs.replace(at_resume(1), number=1)]
    assert fault_fired(histories.evidence(JOB, groups, faults)).outcome == Outcome.VALID


def test_a_fault_that_fired_twice_is_unknown():
    """Each fault fires once."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 5, base=4), histories.resumed(JOB, 4)]
    result = fault_fired(histories.evidence(JOB, groups, [histories.sigkill(4)]))
    assert (result.outcome, result.summary) == (Outcome.UNKNOWN, "sigkill@step=4:rank=1: fired 2 times")
