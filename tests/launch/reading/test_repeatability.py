from __future__ import annotations

import math

import msgspec
import pytest

from resumable.launch.evidence.rank_records import AnyRecord, Backward, Step
from resumable.launch.reading.repeatability import Distance, distances, repeats
from tests.launch import histories
from tests.launch.changes import Change, changed, fields, together
from tests.launch.histories import Job

JOB = Job()


def with_numbers(factor: float) -> Change:
    return together(fields(Step, parameter_norm=2.0 * factor), fields(Backward, loss=3.0 * factor))


def measured(first: float, second: float, faulted: float) -> tuple[Distance, Distance]:
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
        ((math.nan, math.nan, math.nan), 0.0, 0.0),
    ],
)
def test_distances_are_relative_and_from_the_nearest(numbers, apart, from_nearest) -> None:
    """In losses and in the norm of the parameters; what is no number is far from every number."""
    found = measured(*numbers)
    expected = [apart, apart, from_nearest, from_nearest]
    assert [value for one in found for value in (one.loss, one.parameter_norm)] == pytest.approx(expected)


def test_runs_that_are_equal_repeat_each_other() -> None:
    """To the last bit."""
    assert repeats(histories.one_kill(JOB).references)


def test_runs_that_differ_in_one_step_do_not_repeat_each_other() -> None:
    """Of whichever rank."""

    def later_loss(line: AnyRecord) -> AnyRecord:
        is_late = isinstance(line, Backward) and line.loss == JOB.loss(1, 3)
        return msgspec.structs.replace(line, loss=-1.0) if is_late else line

    second = changed(histories.reference(JOB, 2), later_loss, incarnation=0)
    evidence = histories.of_histories(histories.one_kill(JOB).faulted.history, JOB, [], second=second)
    assert not repeats(evidence.references)
