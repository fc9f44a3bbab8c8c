from launch.checks.result import Outcome
from launch.verdict import judge_evidence
from tests.launch import histories
from tests.launch.histories import Job


def test_a_run_that_resumes_exactly_is_valid():
    """A job killed in mid-epoch that goes on from its checkpoint with the right batches is VALID."""
    verdict = judge_evidence(histories.one_kill(Job(world_size=4, num_samples=64)))
    assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "")


def test_a_run_that_skips_a_batch_is_invalid():
    """A rank that leaves out the first batch after its restart is INVALID."""
    verdict = judge_evidence(histories.one_kill(rank1=lambda epochs: [epochs[0][1:], *epochs[1:]]))
    assert (verdict.outcome, verdict.exit_code) == (Outcome.INVALID, 1)
