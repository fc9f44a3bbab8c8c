import msgspec
import pytest

from resumable.launch.checks.replay_identical import replay_identical
from resumable.launch.evidence.rank_records import Step
from resumable.launch.explain.outcome import Outcome
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job(num_samples=32)


def test_steps_done_again_alike_are_valid():
    """What was lost is trained on again in the same way."""
    result = replay_identical(histories.one_kill(JOB, at=7, resume=4))
    assert (result.outcome, result.summary) == (Outcome.VALID, "6 batches done again, the same as the first time")


def test_steps_done_again_otherwise_are_invalid():
    """The first batch that is another the second time is named."""
    result = replay_identical(
        histories.one_kill(JOB, at=7, resume=4, rank1=lambda epochs: [JOB.epoch(1, 1)[4:], *epochs[1:]])
    )
    violation = result.violations[0]
    assert result.outcome == Outcome.INVALID
    assert (violation.rank, violation.epoch, violation.batch) == (1, 0, 4)
    assert (tuple(JOB.epoch(1, 0)[4]), tuple(JOB.epoch(1, 1)[4])) == (violation.expected, violation.found)


def test_it_needs_no_reference():
    """`resumable run` can see by itself that work was done again otherwise."""
    evidence = histories.one_kill(JOB, at=7, resume=4, rank1=lambda epochs: [JOB.epoch(1, 1)[4:], *epochs[1:]])
    assert replay_identical(msgspec.structs.replace(evidence, references=())).outcome == Outcome.INVALID


def without_last_step(process):
    """As if the process had been killed after its last backward pass."""
    number = max(number for number, line in enumerate(process.records) if isinstance(line, Step))
    return msgspec.structs.replace(process, records=process.records[:number])


def judged_unfinished(epochs_of_rank_0):
    first = histories.group(JOB, histories.killed(JOB, 5), incarnation=0)
    lives = histories.resumed(JOB, 4)
    lives[0] = histories.Life(epochs=epochs_of_rank_0, base=4)
    second = histories.group(JOB, lives, incarnation=1)
    history = histories.history("faulted", [*map(without_last_step, first), *second])
    return replay_identical(histories.of_histories(history, JOB, []))


def test_a_step_that_was_never_finished_counts_as_done_before():
    """A batch that had its backward pass when the rank died must come again."""
    right = JOB.epochs_from(0, 4)
    assert judged_unfinished(right).outcome == Outcome.VALID
    assert judged_unfinished([right[0][1:], *right[1:]]).outcome == Outcome.INVALID


@pytest.mark.parametrize(("first", "outcome"), [(0, Outcome.VALID), (1, Outcome.INVALID)])
def test_what_a_second_process_never_finished_must_come_again_too(first, outcome):
    """And no more what the first one had not finished."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 7, base=4)]
    before = [
        without_last_step(process)
        for incarnation, lives in enumerate(groups)
        for process in histories.group(JOB, lives, incarnation=incarnation)
    ]
    rest = [JOB.epochs_from(rank, 6) for rank in (0, 1)]
    lives = [histories.Life(epochs=[own[0][first:], *own[1:]], base=6) for own in rest]
    history = histories.history("faulted", [*before, *histories.group(JOB, lives, incarnation=2)])
    assert replay_identical(histories.of_histories(history, JOB, [])).outcome == outcome


@pytest.mark.parametrize(("first", "outcome"), [(0, Outcome.VALID), (1, Outcome.INVALID)])
def test_a_job_that_was_killed_in_its_very_first_step_begins_with_the_same_batch(first, outcome):
    """It had its backward pass, and no step of the job was ever done."""
    before = histories.group(JOB, histories.killed(JOB, 1), incarnation=0)
    lives = [histories.Life(epochs=[JOB.epoch(r, 0)[first:], *JOB.epochs_from(r, 8)]) for r in (0, 1)]
    after = histories.group(JOB, lives, incarnation=1)
    history = histories.history("faulted", [*map(without_last_step, before), *after])
    assert replay_identical(histories.of_histories(history, JOB, [])).outcome == outcome


@pytest.mark.parametrize("until", [5, 7, 8])
def test_a_second_kill_may_come_before_all_is_done_again(until):
    """What it has not come to is not compared yet."""
    groups = [histories.killed(JOB, 7), histories.killed(JOB, until, base=4), histories.resumed(JOB, 4)]
    assert replay_identical(histories.evidence(JOB, groups, [])).outcome == Outcome.VALID


@pytest.mark.parametrize("is_by_content", [False, True])
def test_a_batch_that_has_no_indices_is_different_by_its_content(is_by_content):
    """The evidence of the second time is named."""
    other = histories.one_kill(JOB, at=7, resume=4, rank1=lambda epochs: [JOB.epoch(1, 1)[4:], *epochs[1:]])
    history = other.faulted.history
    history = histories.without_indices(history) if is_by_content else history
    [violation] = replay_identical(histories.of_histories(history, JOB, [])).violations
    assert violation.problem.is_by_content is is_by_content
    assert (violation.incarnation, violation.file, violation.line) == (1, "faulted/events/i001-r0001-1.jsonl", 5)


def test_nothing_done_again_is_not_applicable():
    """A checkpoint after every step loses nothing."""
    assert replay_identical(histories.one_kill(JOB, at=4, resume=4)).outcome == Outcome.NOT_APPLICABLE
