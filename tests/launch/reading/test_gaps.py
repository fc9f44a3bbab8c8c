"""Folders of a recorded job that somebody forgot to name, or that are of a different job."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from resumable.launch.reading.evidence import Evidence, gather
from tests.launch import histories
from tests.launch.histories import Job, Life

JOB = Job()


def whats(groups: list[list[Life]], *, has_reference: bool, jobs: tuple[str, ...] = ("", "")) -> list[str]:
    """What is missing before the processes of rank 0, if a scheduler names the jobs of their groups so."""
    history = histories.evidence(JOB, groups, []).faulted.history
    rounds = zip(history.rounds, jobs, strict=True)
    named = tuple(msgspec.structs.replace(one, job=job, attempt=one.incarnation) for one, job in rounds)
    history = msgspec.structs.replace(history, rounds=named)
    plan = msgspec.structs.replace(histories.plan(), command="record")
    references = [histories.reference(JOB)] if has_reference else []
    evidence: Evidence = gather(plan, plan.scenarios[-1], references, history)
    return [damage.what.partition(":")[0] for damage in evidence.damage if "r0000" in damage.path]


def first(step: int) -> list[Life]:
    return histories.killed(JOB, step, rank=-1, saves_last=True)


def scratch(start: str, loads: str | None) -> list[Life]:
    """A group that begins again with these parameters."""
    lives = histories.resumed(JOB, 0)
    return [replace(life, start=start, loads=loads) for life in lives]


@pytest.mark.parametrize("has_reference", [True, False])
def test_a_job_with_all_its_attempts_has_no_gap(has_reference: bool) -> None:
    """It goes on from what an attempt saved."""
    assert whats([first(4), histories.resumed(JOB, 4)], has_reference=has_reference) == []


@pytest.mark.parametrize(
    ("has_reference", "expected"),
    [
        (True, "it goes on from step 8, and only 4 steps of its rank were recorded"),
        (False, "it goes on from a checkpoint and with parameters that no recorded process had"),
    ],
)
def test_an_attempt_between_two_others_is_missed(has_reference: bool, expected: str) -> None:
    """What comes after it builds on its steps."""
    assert whats([first(4), histories.resumed(JOB, 8)], has_reference=has_reference) == [expected]


def test_the_first_attempt_is_missed_beside_an_undisturbed_run() -> None:
    """Alone, a job that begins with a checkpoint may be fine-tuning."""
    groups = [histories.killed(JOB, 8, rank=-1, base=4, saves_last=True), histories.resumed(JOB, 8)]
    expected = ["it begins with what the undisturbed run had after 4 steps"]
    assert (whats(groups, has_reference=True), whats(groups, has_reference=False)) == (expected, [])


@pytest.mark.parametrize("has_reference", [True, False])
@pytest.mark.parametrize(("num_steps", "num_gaps"), [(4, 0), (2, 2)])
def test_a_rank_that_is_new_goes_on_from_what_the_others_did(
    has_reference: bool, num_steps: int, num_gaps: int
) -> None:
    """Where they did as much; else an attempt is missing before it, as before them."""
    wider = replace(JOB, world_size=4)
    groups = [first(num_steps), histories.resized(JOB, wider, 4)]
    history = histories.evidence(JOB, groups, [], JOB, wider).faulted.history
    plan = msgspec.structs.replace(histories.plan(), command="record")
    references = [histories.reference(JOB)] if has_reference else []
    damage = gather(plan, plan.scenarios[-1], references, history).damage
    assert num_gaps == sum("r0002" in one.path or "r0003" in one.path for one in damage)


def test_a_rank_of_which_an_attempt_left_nothing_is_missed() -> None:
    """Though the others did as much as it goes on from: the folder of its host is not there."""
    history = histories.evidence(JOB, [first(4), histories.resumed(JOB, 4)], []).faulted.history
    left = tuple(one for one in history.processes if (one.incarnation, one.rank) != (0, 1))
    plan = msgspec.structs.replace(histories.plan(), command="record")
    damage = gather(plan, plan.scenarios[-1], [], msgspec.structs.replace(history, processes=left)).damage
    assert ["only 0 steps of its rank" in one.what for one in damage if "r0001" in one.path] == [True]


@pytest.mark.parametrize(("loads", "num_gaps"), [(None, 0), ("elsewhere.pt", 1)])
def test_parameters_that_nobody_had_are_a_gap_where_a_checkpoint_was_read(loads: str | None, num_gaps: int) -> None:
    """A job that reads none began from scratch, which is its own doing."""
    assert len(whats([first(4), scratch("state-0-of-a-different-seed", loads)], has_reference=False)) == num_gaps


FINISHED = [Life(epochs=JOB.epochs_from(rank, 0)) for rank in range(2)]
OWN_START = histories.resumed(JOB, 0)
OTHER_START = scratch("state-0-of-a-different-seed", None)


@pytest.mark.parametrize("second", [OWN_START, OTHER_START], ids=["alike to the last bit", "of a different seed"])
@pytest.mark.parametrize(
    ("begun", "jobs", "expected"),
    [
        pytest.param(FINISHED, ("", ""), ["it starts from scratch after a life that had ended well"], id="ended well"),
        pytest.param(FINISHED, ("Slurm 7", "Slurm 7"), [], id="ended well, requeued"),
        pytest.param(first(4), ("", ""), [], id="killed"),
        pytest.param(first(4), ("Slurm 7", "Slurm 7"), [], id="killed, requeued"),
        pytest.param(
            first(4),
            ("Slurm 7", "Slurm 8"),
            ["it starts from scratch in Slurm 8, after a life of Slurm 7"],
            id="two jobs",
        ),
    ],
)
def test_a_second_training_from_scratch_may_be_a_different_job(
    begun: list[Life], jobs: tuple[str, str], expected: list[str], second: list[Life]
) -> None:
    """What was killed had to be started again, as was what a scheduler requeued: from scratch is then the job's doing."""
    assert whats([begun, second], has_reference=False, jobs=jobs) == expected


def test_two_jobs_of_a_scheduler_are_one_where_the_second_goes_on() -> None:
    """As in a chain of jobs, each of which waits for the one before it."""
    chain = ("Slurm 7", "Slurm 8")
    assert whats([first(4), histories.resumed(JOB, 4)], has_reference=False, jobs=chain) == []
