"""What is judged of the learning rates on another number of ranks."""

from collections.abc import Callable
from dataclasses import replace
from math import factorial

import pytest

from resumable.launch.checks.restored import restored
from resumable.launch.evidence.rank_records import Load, Step
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.outcome import Outcome
from tests.launch import histories
from tests.launch.changes import Change, changed, fields, same, together
from tests.launch.histories import Job

JOB = Job(world_size=4, num_samples=48)
FEWER = replace(JOB, world_size=2, batch_size=4)


def judged(change: Change, *, before: Change) -> CheckResult:
    """Four ranks are killed after five steps, two go on after two, changed so; `before`: all others."""
    groups = [histories.killed(JOB, 5), histories.resized(JOB, FEWER, 2)]
    faulted = histories.evidence(JOB, groups, [], FEWER).faulted.history
    first, second = (changed(histories.reference(JOB, number), before) for number in (1, 2))
    history = changed(changed(faulted, before, incarnation=0), change, incarnation=1)
    return restored(histories.of_histories(history, JOB, [], first=first, second=second))


def scheduled(counted: Callable[[int], int], rate: Callable[[int], float]) -> Change:
    """A schedule: what it has counted and the learning rate, by step since training began."""
    return fields(Step, scheduler_steps=lambda line: counted(line.step), learning_rate=lambda line: rate(line.step))


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
    result = judged(change, before=before)
    sentence = "rank 0 in incarnation 1 went on from step 2 with the learning rates that the job began with"
    assert (result.outcome, result.summary) == (Outcome.INVALID, sentence)
    assert {violation.advice for violation in result.violations} == {
        "save the learning-rate scheduler's `state_dict()` with the model, and load it too"
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
    assert judged(change, before=before).outcome == Outcome.NOT_APPLICABLE


without_loading = together(fields(Load, path=""), begun_anew)


def test_a_job_that_loads_nothing_has_begun_anew():
    """Whatever step its parameters seem to be of: with a learning rate of 0 they never change."""
    still = fields(Step, before=lambda line: line.before and "still", after="still")
    assert judged(together(without_loading, still), before=together(falling, still)).outcome == Outcome.NOT_APPLICABLE
