"""What is judged of the learning rates on another number of ranks."""

from collections.abc import Callable
from dataclasses import replace
from math import factorial

import msgspec
import pytest

from resumable.launch.checks.restored import restored
from resumable.launch.evidence.history import History
from resumable.launch.evidence.rank_records import AnyRecord, Load, Step
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.outcome import Outcome
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job(world_size=4, num_samples=48)
FEWER = replace(JOB, world_size=2, batch_size=4)
Change = Callable[[AnyRecord], AnyRecord]


def changed(history: History, change: Change, *incarnations: int) -> History:
    processes = tuple(
        msgspec.structs.replace(process, records=tuple(map(change, process.records)))
        if process.incarnation in incarnations
        else process
        for process in history.processes
    )
    return msgspec.structs.replace(history, processes=processes)


def judged(
    change: Change,
    *incarnations: int,
    before: Change | None = None,
    reference: Change | None = None,
    resume: int = 2,
) -> CheckResult:
    """Four ranks are killed after five steps, two go on after `resume`."""
    groups = [histories.killed(JOB, 5), histories.resized(JOB, FEWER, resume)]
    faulted = histories.evidence(JOB, groups, [], FEWER).faulted.history
    references = [histories.reference(JOB, number) for number in (1, 2)]
    first, second = [changed(one, reference, 0) if reference else one for one in references]
    history = changed(changed(faulted, before or same, 0), change, *incarnations)
    return restored(histories.of_histories(history, JOB, [], first=first, second=second))


def same(line: AnyRecord) -> AnyRecord:
    return line


def scheduled(counted: Callable[[int], int], rate: Callable[[int], float]) -> Change:
    """A schedule: what it has counted and the learning rate, by step since training began."""

    def change(line: AnyRecord) -> AnyRecord:
        if not isinstance(line, Step):
            return line
        return msgspec.structs.replace(line, scheduler_steps=counted(line.step), learning_rate=rate(line.step))

    return change


falling = scheduled(lambda step: step, lambda step: 0.5**step)
begun_anew = scheduled(lambda step: step - 2, lambda step: 0.25 if step == 2 else 0.5 ** (step - 2))
ever_faster = scheduled(lambda step: step, lambda step: 1 / factorial(step))
faster_anew = scheduled(lambda step: step - 2, lambda step: 1 / factorial(step - 2) / 2)
made_anew = scheduled(lambda step: step - 2, lambda step: 0.5**step)
recurring = scheduled(lambda step: step, lambda step: step % 2)
recurring_anew = scheduled(lambda step: step - 2, lambda step: step % 2)
begun_on_purpose = scheduled(lambda step: step, lambda step: 0.5 ** (step - 2))
fitted_anew = scheduled(lambda step: step - 2, lambda step: 1 / (step + 1))
falling_late = scheduled(lambda step: step, lambda step: 0.1 if step < 5 else 0.01)
not_fallen = scheduled(lambda step: step - 2, lambda _: 0.1)
constant = scheduled(lambda step: step, lambda _: 0.1)
constant_anew = scheduled(lambda step: step - 2, lambda _: 0.1)


@pytest.mark.parametrize(
    ("before", "change"),
    [
        pytest.param(falling, begun_anew, id="from the step alone"),
        pytest.param(ever_faster, faster_anew, id="from the rate before"),
    ],
)
def test_a_scheduler_that_was_not_restored_is_told(before, change):
    """The first learning rate is right: the optimizer has kept it."""
    result = judged(change, 1, before=before, reference=before)
    sentence = "rank 0 in incarnation 1 went on from step 2 with the learning rates that the job began with"
    assert (result.outcome, result.summary) == (Outcome.INVALID, sentence)
    assert {violation.explanation for violation in result.violations} == {
        "is the state of the learning-rate scheduler saved and loaded?"
    }


@pytest.mark.parametrize(
    ("before", "change"),
    [
        pytest.param(falling, falling, id="it goes on"),
        pytest.param(falling, made_anew, id="a new one goes on"),
        pytest.param(recurring, recurring_anew, id="its rates recur"),
        pytest.param(constant, constant_anew, id="its rate does not change"),
        pytest.param(falling, same, id="it is there no more"),
        pytest.param(falling, begun_on_purpose, id="a restored one begins again"),
        pytest.param(falling, fitted_anew, id="a new one is another"),
        pytest.param(falling_late, not_fallen, id="its rate did not change in the beginning"),
    ],
)
def test_other_schedules_are_not_accused(before, change):
    """A job may make a scheduler that fits another number of ranks."""
    assert judged(change, 1, before=before, reference=before).outcome == Outcome.NOT_APPLICABLE


def without_loading(line: AnyRecord) -> AnyRecord:
    return begun_anew(msgspec.structs.replace(line, path="") if isinstance(line, Load) else line)


def test_a_job_that_loads_nothing_has_begun_anew():
    """Whatever step its parameters seem to be of: with a learning rate of 0 they never change."""
    assert judged(without_loading, 1, before=falling, reference=falling).outcome == Outcome.NOT_APPLICABLE
