from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import Backward, Exit, Step
from resumable.launch.reading.lives import Run
from resumable.launch.reading.repeatability import (
    Distance,
    distances,
    final_parameters,
    first_different_state,
    repeats,
)
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import TrainedStep
from tests.launch import histories
from tests.launch.changes import Change, changed, fields, together
from tests.launch.histories import Job, Life
from tests.launch.lines import with_records

JOB = Job()


def with_numbers(factor: float | None) -> Change:
    norm, loss = (None if factor is None else number * factor for number in (2.0, 3.0))
    return together(fields(Step, parameter_norm=norm), fields(Backward, loss=loss))


def measured(first: float | None, second: float | None, faulted: float | None) -> tuple[Distance, Distance]:
    runs = {
        name: changed(histories.reference(JOB, number), with_numbers(factor))
        for number, (name, factor) in enumerate((("first", first), ("second", second)), start=1)
    }
    history = changed(histories.one_kill(JOB).faulted.history, with_numbers(faulted))
    evidence = histories.of_histories(history, JOB, [], **runs)
    return distances(evidence.references, evidence.faulted)


@pytest.mark.parametrize(
    ("numbers", "apart", "from_nearest"),
    [
        ((1.0, 1.0, 1.0), 0.0, 0.0),
        ((1.0, 0.9, 0.9), 0.1, 0.0),
        ((1.0, 0.9, 2.0), 0.1, 0.5),
        ((1.0, math.nan, 1.0), math.inf, 0.0),
        ((math.nan, 1.0, math.nan), math.inf, 0.0),
        ((1.0, 1.0, math.nan), 0.0, math.inf),
        ((math.nan, math.nan, math.nan), 0.0, 0.0),
        ((0.0, 0.0, 0.0), 0.0, 0.0),
        ((math.inf, math.inf, math.inf), 0.0, 0.0),
        ((1.0, None, 0.5), None, 0.5),
        ((1.0, 1.0, None), 0.0, None),
        ((None, None, 1.0), None, None),
    ],
)
def test_distances_are_relative_and_from_the_nearest(numbers, apart, from_nearest) -> None:
    """In losses and in the norm of the parameters; what is no number is far from every number, not what was not recorded."""
    found = measured(*numbers)
    expected = [apart, apart, from_nearest, from_nearest]
    values = [value for one in found for value in (one.loss, one.parameter_norm)]
    assert repr([None if value is None else round(value, 9) for value in values]) == repr(expected)


def with_a_second_pass(process: Process) -> Process:
    """Each step has one more backward pass."""
    more = Backward(sequence=0, time_ns=0, loss=7.0)
    return with_records(
        process, [o for line in process.records for o in [line, more][: 1 + isinstance(line, Backward)]]
    )


def test_what_one_run_alone_has_is_no_distance() -> None:
    """Further steps, or further backward passes; of what both have it is."""
    faulted = histories.one_kill(JOB).faulted.history
    faulted = msgspec.structs.replace(faulted, processes=tuple(map(with_a_second_pass, faulted.processes)))
    short = replace(JOB, num_epochs=1)
    references = {name: histories.reference(short, number) for number, name in ((1, "first"), (2, "second"))}
    evidence = histories.of_histories(changed(faulted, with_norm), JOB, [], **references)
    assert distances(evidence.references, evidence.faulted)[1] == Distance(loss=0.0)


with_norm = fields(Step, parameter_norm=1.0)


def test_a_loss_is_as_far_from_another_whatever_a_gradient_scaler_made_of_them() -> None:
    """A scale that was halved by chance in one run is no distance."""
    scaled = fields(Backward, loss=lambda line: 2 * line.loss, scale=2.0)
    second = changed(histories.reference(JOB, 2), scaled)
    evidence = histories.of_histories(histories.one_kill(JOB).faulted.history, JOB, [], second=second)
    assert [one.loss for one in distances(evidence.references, evidence.faulted)] == [0.0, 0.0]


def test_runs_that_are_equal_repeat_each_other() -> None:
    """To the last bit."""
    assert repeats(histories.one_kill(JOB).references)


later_loss = fields(Backward, when=lambda line: line.loss == JOB.loss(1, 3), loss=-1.0)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(later_loss, id="one step of one rank"),
        pytest.param(fields(Exit, parameters="other"), id="the end"),
        pytest.param(lambda line: None if isinstance(line, Exit) and line.parameters else line, id="no end"),
    ],
)
def test_runs_that_differ_once_do_not_repeat_each_other(change: Change) -> None:
    """Whatever is the same in a third one."""
    second, third = changed(histories.reference(JOB, 2), change, rank=1), histories.reference(JOB, 3)
    faulted = histories.one_kill(JOB).faulted.history
    assert not repeats(histories.of_histories(faulted, JOB, [], second=second, third=third).references)


@pytest.mark.parametrize("number", [1, 2])
def test_a_run_of_which_a_rank_left_nothing_repeats_none(number: int) -> None:
    """Nobody knows what it did."""
    whole = histories.reference(JOB, number)
    lacking = msgspec.structs.replace(whole, processes=whole.processes[1:])
    faulted = histories.one_kill(JOB).faulted.history
    evidence = histories.of_histories(faulted, JOB, [], **{["first", "second"][number - 1]: lacking})
    assert not repeats(evidence.references)


def step(after: str, *, line: int = 1) -> TrainedStep:
    return TrainedStep(record=Step(sequence=0, time_ns=0, step=0, after=after), line=line)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([step("a"), step("b"), step("c"), step("d")], None),
        ([step("a"), step("b")], None),
        ([step("a"), step("b"), step("c"), step("d"), step("e")], None),
        ([step("x"), step("b"), step("c"), step("d")], 0),
        ([step("a"), step("b"), step("x")], 2),
        ([step("x", line=0), step("b"), step("c"), step("d")], None),
        ([step("a"), step("x", line=0), step("y", line=0), step("z")], 3),
        ([step("x", line=0), step("y"), step("c", line=0), step("d", line=0)], 1),
    ],
)
def test_a_step_that_nobody_recorded_is_not_the_first_that_differs(
    found: Sequence[TrainedStep], expected: int | None
) -> None:
    """Only another rank's checkpoint tells of it."""
    assert first_different_state(Steps.of(map(step, "abcd")), Steps.of(found)) == expected


def exits(parameters: dict[int, str | None], *, num_steps: int) -> Run:
    """Ranks that end after so many steps, and say this of their parameters."""
    lives = [Life(epochs=[JOB.epoch(rank, 0)[:num_steps]]) for rank in parameters]
    history = histories.history("reference-1", histories.group(JOB, lives, incarnation=0))
    for rank, own in parameters.items():
        history = changed(history, fields(Exit, parameters=own), rank=rank)
    return histories.of_histories(history, JOB, []).faulted


@pytest.mark.parametrize(("num_steps", "expected"), [(1, {0: "a", 1: None}), (0, {0: "a"})])
def test_who_trained_nothing_and_tells_nothing_has_no_end(num_steps: int, expected: dict[int, str | None]) -> None:
    """A rank that trained should tell."""
    assert final_parameters(exits({0: "a", 1: None}, num_steps=num_steps)) == expected


def test_the_end_of_a_run_is_that_of_its_last_processes() -> None:
    """They were killed; earlier ones had told theirs."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 6, base=4)]
    history = histories.evidence(JOB, groups, []).faulted.history
    told = Exit(sequence=0, time_ns=0, reason="signal", parameters="early")
    processes = [one if one.incarnation else with_records(one, [*one.records, told]) for one in history.processes]
    history = msgspec.structs.replace(history, processes=tuple(processes))
    assert final_parameters(histories.of_histories(history, JOB, []).faulted) == {}


def test_a_run_of_which_nothing_is_known_has_no_end() -> None:
    """It never began."""
    assert final_parameters(histories.of_histories(histories.history("faulted", []), JOB, []).faulted) == {}
