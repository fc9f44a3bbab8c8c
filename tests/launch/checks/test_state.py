from collections.abc import Callable

import msgspec
import pytest

from launch.checks.result import CheckResult, Outcome
from launch.checks.state import state
from launch.history import History
from launch.records import AnyRecord, Backward, Exit, Step
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job(num_samples=32)
Change = Callable[[AnyRecord], AnyRecord]


def changed(history: History, change: Change, *, incarnation: int, rank: int = 1) -> History:
    """Every line of one process is changed."""
    processes = tuple(
        msgspec.structs.replace(process, records=tuple(map(change, process.records)))
        if (process.incarnation, process.rank) == (incarnation, rank)
        else process
        for process in history.processes
    )
    return msgspec.structs.replace(history, processes=processes)


def judged(change: Change, incarnation: int = 1) -> CheckResult:
    history = histories.one_kill(JOB).faulted.history
    return state(histories.of_histories(changed(history, change, incarnation=incarnation), JOB, []))


def other_parameters(line: AnyRecord) -> AnyRecord:
    return msgspec.structs.replace(line, after="other") if isinstance(line, Step) and line.step > 5 else line


def other_loss(line: AnyRecord) -> AnyRecord:
    return msgspec.structs.replace(line, loss=-1.0) if isinstance(line, Backward) and line.loss == 6 / 8 else line


def no_number(line: AnyRecord) -> AnyRecord:
    return msgspec.structs.replace(line, loss=float("nan")) if isinstance(line, Backward) else line


def other_start(line: AnyRecord) -> AnyRecord:
    return msgspec.structs.replace(line, before="other", after="other") if isinstance(line, Step) else line


def other_end(line: AnyRecord) -> AnyRecord:
    return msgspec.structs.replace(line, parameters="other") if isinstance(line, Exit) else line


def same(line: AnyRecord) -> AnyRecord:
    return line


def nothing(line: AnyRecord) -> AnyRecord:
    if isinstance(line, Step):
        return msgspec.structs.replace(line, before=None, after=None)
    return msgspec.structs.replace(line, loss=None) if isinstance(line, Backward) else line


def test_equal_losses_and_parameters_are_valid():
    """After every step, and at the end."""
    result = judged(same)
    assert (result.outcome, result.summary) == (
        Outcome.VALID,
        "losses and parameters bit-equal after each of 24 steps",
    )


@pytest.mark.parametrize(
    ("change", "sentence", "words"),
    [
        (other_parameters, "rank 1 has other parameters than the reference from step 6 on", "is the optimizer's, the"),
        (
            other_loss,
            "rank 1 has another loss than the reference from step 6 on",
            "is the optimizer's, the scheduler's",
        ),
        (other_start, "rank 1 has other parameters than the reference from step 4 on", "is the model's state loaded?"),
        (other_end, "rank 1 ends with other parameters than the reference", ""),
    ],
)
def test_right_batches_and_another_state_are_invalid(change, sentence, words):
    """What was not restored is told apart: the model itself, or what goes with it."""
    result = judged(change)
    assert (result.outcome, result.summary) == (Outcome.INVALID, sentence)
    assert words in result.violations[0].explanation


def test_another_state_after_other_batches_is_their_consequence():
    """The optimizer is not blamed for what the sampler did."""
    evidence = histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]])
    history = changed(evidence.faulted.history, other_parameters, incarnation=1)
    result = state(histories.of_histories(history, JOB, []))
    assert result.violations[0].explanation == "it follows from the batches, which differ already"


def test_a_difference_before_the_restart_is_unknown():
    """The restart is not to blame for it."""
    assert judged(other_loss_early, incarnation=0).outcome == Outcome.UNKNOWN


def other_loss_early(line: AnyRecord) -> AnyRecord:
    return msgspec.structs.replace(line, loss=-1.0) if isinstance(line, Backward) else line


def test_a_reference_with_another_state_each_time_is_unknown():
    """A job that is not deterministic cannot be compared bit by bit."""
    second = changed(histories.reference(JOB, 2), other_loss, incarnation=0)
    history = histories.one_kill(JOB).faulted.history
    result = state(histories.of_histories(history, JOB, [], second=second))
    assert (result.outcome, result.summary) == (
        Outcome.UNKNOWN,
        "the uninterrupted run does not repeat its own losses or parameters from step 6 on",
    )


def everywhere(change: Change) -> CheckResult:
    """Every line of every process of every run is changed."""
    histories_ = [histories.one_kill(JOB).faulted.history, histories.reference(JOB, 1), histories.reference(JOB, 2)]
    faulted, first, second = [
        msgspec.structs.replace(
            history,
            processes=tuple(
                msgspec.structs.replace(process, records=tuple(map(change, process.records)))
                for process in history.processes
            ),
        )
        for history in histories_
    ]
    return state(histories.of_histories(faulted, JOB, [], first=first, second=second))


def test_a_loss_that_is_no_number_equals_itself():
    """NaN came both times."""
    assert everywhere(no_number).outcome == Outcome.VALID


def test_nothing_recorded_is_not_applicable():
    """A job without an optimizer and with losses elsewhere than on the CPU."""
    assert everywhere(nothing).outcome == Outcome.NOT_APPLICABLE
