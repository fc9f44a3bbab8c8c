"""What is judged of the state on another number of ranks."""

from collections.abc import Callable
from dataclasses import replace
from math import factorial

import msgspec
import pytest

from resumable.launch.checks.state import state
from resumable.launch.evidence.history import History
from resumable.launch.evidence.rank_records import AnyRecord, Load, Step
from resumable.launch.explain.outcome import Outcome
from resumable.launch.explain.result import CheckResult
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
    return state(histories.of_histories(history, JOB, [], first=first, second=second))


def same(line: AnyRecord) -> AnyRecord:
    return line


def with_new_optimizer(line: AnyRecord) -> AnyRecord:
    is_first = isinstance(line, Step) and line.before is not None
    return msgspec.structs.replace(line, has_new_optimizer=True) if is_first else line


def with_new_optimizer_every_epoch(line: AnyRecord) -> AnyRecord:
    return msgspec.structs.replace(line, has_new_optimizer=line.step % 6 == 0) if isinstance(line, Step) else line


def test_parameters_that_the_job_had_and_an_optimizer_with_state_are_valid():
    """No more than that is said."""
    result = judged(same)
    assert (result.outcome, result.summary) == (
        Outcome.VALID,
        "1 restart from parameters as they were, none with a new optimizer or schedule; "
        "the number of ranks changed, so gradients are summed in a different order then",
    )


def test_an_optimizer_that_was_not_restored_is_told():
    """The batches and the parameters are right all the same."""
    result = judged(with_new_optimizer, 1)
    sentence = "rank 0 in incarnation 1 went on from step 2 with an optimizer that has no state"
    assert (result.outcome, result.summary) == (Outcome.INVALID, sentence)
    assert [violation.rank for violation in result.violations] == [0, 1]
    assert {violation.explanation for violation in result.violations} == {"is the optimizer's state saved and loaded?"}


def without_loading(line: AnyRecord) -> AnyRecord:
    return with_new_optimizer(msgspec.structs.replace(line, path="") if isinstance(line, Load) else line)


def test_a_job_that_loads_nothing_has_begun_anew():
    """Whatever step its parameters seem to be of: with a learning rate of 0 they never change."""
    assert judged(without_loading, 1).outcome == Outcome.VALID


def test_a_job_that_begins_anew_has_a_new_optimizer():
    """Before the first checkpoint there is nothing to go on from."""
    assert judged(with_new_optimizer, 1, resume=0).outcome == Outcome.NOT_APPLICABLE


def test_a_job_that_makes_new_optimizers_is_not_accused():
    """It does so without a stop, too."""
    assert judged(with_new_optimizer, 1, reference=with_new_optimizer_every_epoch).outcome == Outcome.VALID


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
    assert {violation.explanation for violation in result.violations} == {"is the scheduler's state saved and loaded?"}


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
    assert judged(change, 1, before=before, reference=before).outcome == Outcome.VALID


def with_a_share(line: AnyRecord) -> AnyRecord:
    """As in a job that deals its parameters out to the ranks."""
    is_first = isinstance(line, Step) and line.before is not None
    return msgspec.structs.replace(line, before=f"share {id(line)}") if is_first else line


def test_shares_of_parameters_are_others_on_another_number_of_ranks():
    """Nothing tells whether they are right."""
    result = judged(with_a_share, 0, 1)
    assert (result.outcome, result.summary) == (
        Outcome.NOT_APPLICABLE,
        "the number of ranks changed, so gradients are summed in a different order",
    )


def without_parameters(line: AnyRecord) -> AnyRecord:
    return msgspec.structs.replace(line, before=None, after=None) if isinstance(line, Step) else line


def test_nothing_is_said_where_no_parameters_were_recorded():
    """A job without an optimizer."""
    assert judged(without_parameters, 0, 1, reference=without_parameters).outcome == Outcome.NOT_APPLICABLE
