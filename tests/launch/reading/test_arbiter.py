from __future__ import annotations

import msgspec
import pytest

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Exit, SkippedStep, Step
from resumable.launch.reading.arbiter import first_left_out, num_equal_steps, was_cut_off
from resumable.launch.reading.evidence import Evidence
from tests.launch import histories
from tests.launch.changes import Change, changed, fields, without
from tests.launch.histories import Job
from tests.launch.lines import with_records

JOB = Job()
NUM_STEPS = 2 * (5 + 8)
"""Of both ranks: five until one is killed, and eight after the four that the checkpoint holds."""
LATE_LOSSES = {JOB.loss(rank, step) for rank in (0, 1) for step in range(8, 12)}


def spoilt(process: Process, change: Change, first_step: int) -> Process:
    """The process with its lines from a step on, as it counts them, changed or left out."""
    begins = [number for number, line in enumerate(process.records) if isinstance(line, Backward)]
    head, tail = process.records[: begins[first_step]], process.records[begins[first_step] :]
    return with_records(process, [*head, *(new for line in tail if (new := change(line)) is not None)])


def with_changed(change: Change, *, incarnation: int, first_step: int = 0) -> Evidence:
    """Rank 1 is killed after five steps, and one of its two lives is spoilt."""
    whole = histories.one_kill(JOB).faulted.history
    processes = tuple(
        spoilt(process, change, first_step) if (process.incarnation, process.rank) == (incarnation, 1) else process
        for process in whole.processes
    )
    return histories.of_histories(msgspec.structs.replace(whole, processes=processes), JOB, [histories.sigkill(4)])


other_loss = fields(Backward, loss=-1.0)
no_loss = fields(Backward, loss=None)
no_late_loss = fields(Backward, when=lambda line: line.loss in LATE_LOSSES, loss=None)


no_parameters = fields(Step, after=None)
other_end = fields(Exit, parameters="others")
bad_end = fields(Exit, code=1)


def no_last_steps(line: AnyRecord) -> AnyRecord | None:
    is_late = isinstance(line, Step) and line.step >= 10
    return None if is_late or isinstance(line, Backward) else line


def test_all_steps_count_where_all_are_equal() -> None:
    """Those too that the restart threw away."""
    assert num_equal_steps(histories.one_kill(JOB)) == NUM_STEPS


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(with_changed(other_loss, incarnation=1), id="a loss"),
        pytest.param(with_changed(other_loss, incarnation=0, first_step=3), id="a loss that the restart threw away"),
        pytest.param(with_changed(other_end, incarnation=1), id="the parameters at the end"),
        pytest.param(with_changed(bad_end, incarnation=1), id="it failed in the end"),
        pytest.param(with_changed(no_last_steps, incarnation=1, first_step=6), id="the last steps are missing"),
        pytest.param(msgspec.structs.replace(histories.one_kill(JOB), references=()), id="no reference"),
    ],
)
def test_one_number_that_is_different_proves_nothing(evidence: Evidence) -> None:
    """In whichever life of whichever rank."""
    assert num_equal_steps(evidence) is None


@pytest.mark.parametrize("change", [no_loss, no_late_loss, no_parameters, without(Backward)])
def test_what_no_run_recorded_is_not_equal(change: Change) -> None:
    """Nothing says that it is."""
    references = {name: changed(histories.reference(JOB, n), change) for n, name in ((1, "first"), (2, "second"))}
    faulted = changed(histories.one_kill(JOB).faulted.history, change)
    assert num_equal_steps(histories.of_histories(faulted, JOB, [], **references)) is None


def skipping(*steps: int) -> Change:
    """A gradient scaler leaves out these steps."""
    left_out = SkippedStep(sequence=0, time_ns=0)
    return lambda line: left_out if isinstance(line, Step) and line.step in steps else line


@pytest.mark.parametrize(
    ("faulted", "second", "expected"),
    [
        pytest.param((6, 9), (), 6, id="the first one"),
        pytest.param((6, 9), (6,), 8, id="but for what another run left out there too"),
        pytest.param((), (6,), None, id="of this run alone"),
    ],
)
def test_the_first_step_that_is_left_out_by_chance_counts_since_training_began(faulted, second, expected) -> None:
    """Where numbers repeat there is no chance."""
    run = changed(histories.one_kill(JOB).faulted.history, skipping(*faulted), incarnation=1, rank=0)
    other = changed(histories.reference(JOB, 2), skipping(*second))
    noisy = histories.of_histories(run, JOB, [], second=changed(other, other_loss))
    exact = histories.of_histories(run, JOB, [])
    assert (first_left_out(noisy), first_left_out(exact)) == (expected, None)


def test_another_number_of_ranks_rounds_differently() -> None:
    """Equal losses would be an accident."""
    other = Job(world_size=4, batch_size=1)
    groups = [histories.killed(JOB, 5), histories.resized(JOB, other, 4)]
    assert num_equal_steps(histories.evidence(JOB, groups, [], other)) is None


def test_the_last_step_of_who_was_killed_may_be_half_done() -> None:
    """Of two optimizers one had made its step; who ended by himself had the time for both."""
    evidence = with_changed(other_loss, incarnation=0, first_step=4)
    assert num_equal_steps(evidence) == NUM_STEPS
    killed, ended = (life for life in evidence.faulted.lives if life.rank == 1)
    assert [was_cut_off(killed, 3), was_cut_off(killed, 4), was_cut_off(ended, 7)] == [False, True, False]
