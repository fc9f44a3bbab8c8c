from collections.abc import Callable

import msgspec
import pytest

from launch.checks.result import Outcome
from launch.checks.state import state
from launch.evidence import Evidence
from launch.records import AnyRecord, Backward, Step
from launch.rounding import is_rounding
from tests.launch import histories
from tests.launch.histories import Job

FOUR = Job(world_size=4, num_samples=64)
TWO = Job(world_size=2, num_samples=64)


def drifted(job: Job, drift: Callable[[int], float], *, before: bool = True) -> Evidence:
    """After the restart every state is another, and losses are off by a factor that depends on the step."""
    faulted = histories.one_kill(job).faulted.history

    def changed(line: AnyRecord) -> AnyRecord:
        if isinstance(line, Step):
            start = line.before if before else "other"
            return msgspec.structs.replace(line, after=f"other {line.step}", before=line.before and start)
        if isinstance(line, Backward) and line.loss is not None:
            return msgspec.structs.replace(line, loss=line.loss * (1 + drift(round(line.loss * 8) - 4)))
        return line

    processes = tuple(
        msgspec.structs.replace(process, records=tuple(map(changed, process.records)))
        if process.incarnation
        else process
        for process in faulted.processes
    )
    return histories.of_histories(msgspec.structs.replace(faulted, processes=processes), job, [])


def test_the_last_bits_of_many_ranks_are_rounding():
    """Parameters restored bit by bit, losses that leave the reference's slowly: DDP summed in another order."""
    evidence = drifted(FOUR, lambda step: 2e-7 * step)
    assert is_rounding(evidence)
    assert state(evidence).outcome == Outcome.VALID


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(drifted(TWO, lambda step: 2e-7 * step), id="two ranks: a sum of two has no order"),
        pytest.param(drifted(FOUR, lambda step: 1e-4 * step), id="a loss far off: momentum was lost"),
        pytest.param(drifted(FOUR, lambda step: 1e-4), id="the first loss is off: random state was lost"),
        pytest.param(drifted(FOUR, lambda step: 0.0, before=False), id="other parameters to begin with"),
    ],
)
def test_what_cannot_be_rounding_is_not_taken_for_it(evidence):
    """Lost state shows in the losses by orders of magnitude more."""
    assert not is_rounding(evidence)
    assert state(evidence).outcome == Outcome.INVALID
