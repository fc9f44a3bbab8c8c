import pytest

from resumable.launch.checks.ranks_agree import ranks_agree
from resumable.launch.evidence.rank_records import EpochBegin
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.codes.resume import EachRankRestores
from resumable.launch.explain.outcome import Outcome
from tests.launch import histories
from tests.launch.changes import changed, fields
from tests.launch.histories import Job, Life

JOB = Job(num_samples=32)


def test_ranks_at_one_step_agree():
    """All ranks went on from the same checkpoint."""
    result = ranks_agree(histories.one_kill(JOB))
    assert (result.outcome, result.summary) == (Outcome.VALID, "1 restart: all ranks went on from step 4")


def test_ranks_at_different_steps_disagree():
    """Each rank loaded a checkpoint of its own, and one of them was older."""
    lives = [histories.resumed(JOB, 4)[0], histories.resumed(JOB, 2)[1]]
    result = ranks_agree(histories.evidence(JOB, [histories.killed(JOB, 5), lives], []))
    assert result.outcome == Outcome.INVALID
    assert result.summary == "in incarnation 1 rank 0 went on from step 4, rank 1 went on from step 2"
    assert [(violation.incarnation, violation.reason) for violation in result.violations] == [(1, EachRankRestores())]


def judged_epochs(*epochs: int | None) -> CheckResult:
    """Ranks whose samplers say these epochs when they resume."""
    history = histories.one_kill(JOB).faulted.history
    for rank, epoch in enumerate(epochs):
        history = changed(history, fields(EpochBegin, sampler_epoch=epoch), rank=rank)
    return ranks_agree(histories.of_histories(history, JOB, []))


@pytest.mark.parametrize(
    ("epochs", "outcome"), [((1, 1), Outcome.VALID), ((None, None), Outcome.VALID), ((1, 0), Outcome.INVALID)]
)
def test_samplers_must_be_in_one_epoch(epochs, outcome):
    """What the samplers themselves say is compared, where they say anything."""
    assert outcome == judged_epochs(*epochs).outcome


def test_no_restart_is_not_applicable():
    """There is nothing to agree on."""
    lives = [Life(epochs=JOB.epochs_from(r, 0)) for r in (0, 1)]
    assert ranks_agree(histories.evidence(JOB, [lives], [])).outcome == Outcome.NOT_APPLICABLE
