import msgspec

from launch.checks.rank_sequence import rank_sequence
from launch.checks.result import Outcome
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job(num_samples=32)


def skip_one(epochs):
    return [epochs[0][1:], *epochs[1:]]


def test_an_exact_resume_is_valid():
    """All ranks go on with the batch that would have come next."""
    result = rank_sequence(histories.one_kill(JOB, at=5, resume=4))
    assert (result.outcome, result.summary) == (Outcome.VALID, "2 ranks, 40 batches, equal from step 4 on")


def test_the_first_wrong_batch_is_named_with_its_line():
    """A violation says rank, epoch, batch, both lists of indices, and where the evidence stands."""
    result = rank_sequence(histories.one_kill(JOB, at=5, resume=4, rank1=skip_one))
    violation = result.violations[0]
    epoch = JOB.epoch(1, 0)
    assert result.outcome == Outcome.INVALID
    assert (violation.rank, violation.incarnation, violation.epoch, violation.batch, violation.step) == (1, 1, 0, 4, 4)
    assert (tuple(epoch[4]), tuple(epoch[5])) == (violation.expected, violation.found)
    assert (violation.file, violation.line) == ("faulted/events/i001-r0001-1.jsonl", 5)


def test_fast_forwarding_is_right():
    """A script may receive the batches that it has done already, as long as it does not train on them."""
    first, last = JOB.epoch(0, 0)[:4], JOB.epoch(1, 0)[:4]
    lives = [
        histories.Life(epochs=life.epochs, base=4, loads=life.loads, fast_forward=skipped)
        for life, skipped in zip(histories.resumed(JOB, 4), (first, last), strict=True)
    ]
    evidence = histories.evidence(JOB, [histories.killed(JOB, 5), lives], [histories.sigkill(4)])
    assert rank_sequence(evidence).outcome == Outcome.VALID


def test_a_wrong_second_resume_is_invalid():
    """A rank that is right after the first restart and wrong after the second is wrong."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 7, base=4, fault=1), histories.resumed(JOB, 0)]
    wrong = [histories.Life(epochs=life.epochs, base=6, loads=histories.path_of(6)) for life in groups[2]]
    faults = [histories.sigkill(4), histories.sigkill(6, number=1)]
    assert rank_sequence(histories.evidence(JOB, [*groups[:2], wrong], faults)).outcome == Outcome.INVALID


def test_a_run_that_differs_before_its_fault_is_unknown():
    """The restart is not to blame for what came before it."""
    first = [histories.Life(epochs=[life.epochs[0][1:]], stop_after=5) for life in histories.killed(JOB, 5)]
    evidence = histories.evidence(JOB, [first, histories.resumed(JOB, 4)], [histories.sigkill(4)])
    assert rank_sequence(evidence).outcome == Outcome.UNKNOWN


def test_a_run_without_a_restart_is_unknown():
    """What equals the reference without an interruption proves nothing."""
    evidence = histories.evidence(JOB, [histories.resumed(JOB, 0)], [histories.sigkill(4)])
    assert rank_sequence(evidence).outcome == Outcome.UNKNOWN


def test_nothing_to_compare_with_is_not_applicable():
    """`resumable run` has no reference."""
    evidence = msgspec.structs.replace(histories.one_kill(JOB), references=())
    assert rank_sequence(evidence).outcome == Outcome.NOT_APPLICABLE


def test_another_number_of_ranks_is_not_applicable():
    """Ranks of a group of another size are not compared one by one."""
    other = Job(num_samples=32, world_size=4)
    groups = [histories.killed(JOB, 5), histories.resized(JOB, other, 4)]
    evidence = histories.evidence(JOB, groups, [histories.sigkill(4)], other)
    assert rank_sequence(evidence).outcome == Outcome.NOT_APPLICABLE
