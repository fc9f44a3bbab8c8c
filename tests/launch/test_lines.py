"""Evidence in memory is what a job with shared gradients could leave."""

from resumable.launch.checks.state import state
from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import Backward, Exit, Step
from resumable.launch.explain.outcome import Outcome
from tests.launch import histories
from tests.launch.histories import Job, Life

JOB = Job()


def afters(process: Process) -> list[str | None]:
    return [record.after for record in process.records if isinstance(record, Step)]


def losses(process: Process) -> list[float | None]:
    return [record.loss for record in process.records if isinstance(record, Backward)]


def test_a_wrong_batch_of_one_rank_changes_the_parameters_of_all_from_there_on() -> None:
    """And no earlier ones; its own loss differs in that step, the others' from the next on."""
    right = histories.group(JOB, histories.resumed(JOB, 0), incarnation=0)
    lives = histories.resumed(JOB, 0)
    epochs = [[*lives[1].epochs[0][:2], lives[1].epochs[0][3], *lives[1].epochs[0][3:]], *lives[1].epochs[1:]]
    wrong = histories.group(JOB, [lives[0], Life(epochs=epochs)], incarnation=0)
    same = [
        [a == b for a, b in zip(afters(one), afters(two), strict=True)] for one, two in zip(right, wrong, strict=True)
    ]
    assert same == [[True] * 2 + [False] * 10] * 2
    same = [
        [a == b for a, b in zip(losses(one), losses(two), strict=True)] for one, two in zip(right, wrong, strict=True)
    ]
    assert same == [[True] * 3 + [False] * 9, [True] * 2 + [False] * 10]


def test_all_ranks_have_the_same_parameters_and_losses_of_their_own() -> None:
    """As under DDP."""
    one, other = histories.group(JOB, histories.resumed(JOB, 0), incarnation=0)
    assert afters(one) == afters(other)
    assert set(losses(one)).isdisjoint(losses(other))


def test_a_group_that_goes_on_right_has_the_parameters_of_the_uninterrupted_run() -> None:
    """From its checkpoint to its end."""
    whole = histories.group(JOB, histories.resumed(JOB, 0), incarnation=0)
    rest = histories.group(JOB, histories.resumed(JOB, 4), incarnation=1)
    assert [afters(process)[4:] for process in whole] == [afters(process) for process in rest]
    assert {process.exit and process.exit.parameters for process in (*whole, *rest)} == {JOB.state(12)}


def test_a_group_after_a_wrong_one_goes_on_from_what_that_one_had() -> None:
    """Its checkpoint holds the wrong parameters, and so does its end, though its own batches are right."""
    lives = histories.killed(JOB, 7, base=4)
    wrong = [lives[0], Life(epochs=[lives[1].epochs[0][::-1], *lives[1].epochs[1:]], base=4, stop_after=3, fault=1)]
    groups = [histories.killed(JOB, 5), wrong, histories.resumed(JOB, 6)]
    evidence = histories.evidence(JOB, groups, [histories.sigkill(4), histories.sigkill(6, number=1)])
    ends = [record for p in evidence.faulted.history.processes for record in p.records if isinstance(record, Exit)]
    assert JOB.state(12) not in {end.parameters for end in ends}
    assert state(evidence).outcome == Outcome.INVALID
