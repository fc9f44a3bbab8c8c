import msgspec
import pytest

from resumable.launch.checks.reference import reference
from resumable.launch.evidence.history import History
from resumable.launch.evidence.node_records import NodeEnded
from resumable.launch.evidence.rank_records import AnyRecord, Batch, Exit, Step
from resumable.launch.explain.codes.references import ReferenceUnusable
from resumable.launch.explain.outcome import Outcome
from resumable.launch.reading.evidence import Evidence, gather
from tests.launch import histories
from tests.launch.changes import changed, fields, same, together
from tests.launch.histories import Job, Life

JOB = Job()


def judged(*references: History, job: Job = JOB):
    whole = histories.one_kill(job)
    return reference(gather(whole.plan, whole.scenario, references, whole.faulted.history))


def of_lives(lives: list[Life], number: int = 1) -> History:
    name = f"reference-{number}"
    processes = histories.group(JOB, lives, incarnation=0, name=name)
    return histories.history(name, processes)


def twice(lives: list[Life]) -> list[History]:
    return [of_lives(lives, 1), of_lives(lives, 2)]


def test_two_equal_references_are_valid():
    """A job that repeats itself is a yardstick."""
    result = reference(histories.one_kill(JOB))
    assert (result.outcome, result.summary) == (Outcome.VALID, "2 runs of 24 batches, equal in every batch")


def test_one_reference_is_unknown():
    """One run cannot show that it repeats itself."""
    assert judged(histories.reference(JOB)).outcome == Outcome.UNKNOWN


def test_references_that_differ_are_unknown():
    """A job that does not repeat itself is no yardstick; the first difference is named."""
    other = [Life(epochs=[JOB.epoch(r, 0), JOB.epoch(r, 2), JOB.epoch(r, 1)]) for r in (0, 1)]
    result = judged(histories.reference(JOB), of_lives(other, 2))
    assert result.outcome == Outcome.UNKNOWN
    assert result.summary.endswith("does not repeat itself: rank 0 differs from step 4 on")


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        (
            [],
            "no batch that could be watched (not without a backward() call or an optimizer, nor in processes that it starts",
        ),
        ([[[0, 1]]], "rank 0 did 1 step"),
        ([[[0, 1], [0, 1]]], "all batches of rank 0 are equal"),
    ],
)
def test_a_job_too_small_to_tell_orders_apart_is_unknown(epochs, words):
    """At least two steps with two distinct batches, where parameters do not tell."""
    runs = (changed(run, fields(Step, after=None)) for run in twice([Life(epochs=epochs), Life(epochs=epochs)]))
    result = judged(*runs)
    assert result.outcome == Outcome.UNKNOWN
    assert words in result.summary


def without_batches(line: AnyRecord) -> AnyRecord | None:
    return None if isinstance(line, Batch) else line


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(same, Outcome.VALID, id="each step has parameters of its own"),
        pytest.param(fields(Step, after="still"), Outcome.UNKNOWN, id="they never move"),
        pytest.param(fields(Step, after=lambda line: f"{line.step % 2:016x}"), Outcome.UNKNOWN, id="they come back"),
    ],
)
@pytest.mark.parametrize(
    "batches",
    [
        pytest.param(without_batches, id="no batch is seen"),
        pytest.param(fields(Batch, indices=[0, 1]), id="always one"),
    ],
)
def test_parameters_tell_steps_apart_where_batches_do_not(batches, change, expected) -> None:
    """The whole data set may be one batch, and gradients may come from nowhere that is watched."""
    runs = (changed(changed(histories.reference(JOB, number), batches), change) for number in (1, 2))
    assert judged(*runs).outcome == expected


def test_two_different_batches_tell_one_order_from_another():
    """The smallest job that can be judged."""
    lives = [Life(epochs=[[[4 * rank, 4 * rank + 1], [4 * rank + 2, 4 * rank + 3]]]) for rank in (0, 1)]
    assert judged(*twice(lives)).outcome == Outcome.VALID


def without_late_batches(line: AnyRecord) -> AnyRecord | None:
    return None if isinstance(line, Batch) and line.epoch > 0 else line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(fields(Batch, indices=None), "without indices and without a digest", id="nothing identifies them"),
        pytest.param(without_late_batches, "rank 0 did most of its 12 steps on no batch", id="most were not seen"),
    ],
)
def test_batches_of_which_too_little_is_known_are_unknown(change, words):
    """Nothing can be compared, or what can be would stand for what was not seen; so it is without parameters."""
    runs = (changed(histories.reference(JOB, n), together(change, fields(Step, after=None))) for n in (1, 2))
    assert words in judged(*runs).summary


def test_a_reference_that_failed_by_itself_is_unknown_with_its_error():
    """The script's own error is shown, not the lost connection of the other rank."""
    result = judged(histories.failed_reference(JOB), histories.reference(JOB, 2))
    assert result.outcome == Outcome.UNKNOWN
    assert "reference-1 failed by itself on rank 1: ValueError: no such column" in result.summary


def test_a_reference_whose_node_failed_is_unknown():
    """A run that did not come to its end is no yardstick."""
    failed = NodeEnded(node=0, outcome="failed", time_ns=0)
    history = msgspec.structs.replace(histories.reference(JOB), ends=(failed,))
    assert judged(history, histories.reference(JOB, 2)).summary == "reference-1 did not come to its end"


def restarted(group: str = "") -> History:
    """All ranks leave in order after five steps, and are started again; `group`: by somebody else."""
    left = Exit(sequence=0, time_ns=0, reason="system_exit", code=0)
    first = histories.group(JOB, histories.killed(JOB, 5, rank=-1), incarnation=0)
    second = histories.group(JOB, histories.resumed(JOB, 4), incarnation=1)
    history = histories.history("reference-1", [*(histories.with_lines(process, [left]) for process in first), *second])
    return msgspec.structs.replace(
        history, rounds=tuple(msgspec.structs.replace(one, group=group) for one in history.rounds)
    )


@pytest.mark.parametrize(
    ("history", "what"),
    [
        (msgspec.structs.replace(histories.reference(JOB), processes=()), "recorded nothing"),
        (restarted(), "was restarted, though nothing was done to it"),
        (restarted("g"), "is several trainings, one after another"),
        (msgspec.structs.replace(histories.reference(JOB), ends=()), "did not come to its end"),
        (msgspec.structs.replace(histories.reference(JOB), is_sealed=False), "did not come to its end"),
    ],
)
def test_a_reference_that_was_disturbed_or_left_nothing_is_unknown(history, what):
    """It is no yardstick."""
    result = judged(history, histories.reference(JOB, 2))
    assert (result.outcome, result.problem) == (Outcome.UNKNOWN, ReferenceUnusable(run="reference-1", what=what))


@pytest.mark.parametrize(("shuffle", "noted"), [(True, True), (False, False)])
def test_epochs_of_one_shuffled_order_are_noted(shuffle, noted):
    """A forgotten set_epoch is no fault of the resume; a sequential order is meant to repeat."""
    job = Job(shuffle=shuffle)
    lives = [Life(epochs=[job.epoch(r, 0)] * 3) for r in (0, 1)]
    result = judged(*twice(lives), job=job)
    assert (result.outcome, "set_epoch" in " ".join(result.notes)) == (Outcome.VALID, noted)


def test_epochs_that_begin_alike_are_not_of_one_order():
    """One batch that is the same both times is an accident."""
    lives = [Life(epochs=[JOB.epoch(r, 0), [JOB.epoch(r, 0)[0], *JOB.epoch(r, 1)[1:]]]) for r in (0, 1)]
    assert "set_epoch" not in " ".join(judged(*twice(lives)).notes)


def test_a_run_without_references_is_not_applicable():
    """`resumable run` has none."""
    evidence: Evidence = msgspec.structs.replace(histories.one_kill(JOB), references=())
    assert reference(evidence).outcome == Outcome.NOT_APPLICABLE


def test_the_words_of_a_node_that_failed_come_first() -> None:
    """A job that never began because its node could not is told apart from a job that recorded nothing."""
    end = NodeEnded(node=0, outcome="failed", time_ns=0, message="gaierror: Name or service not known")
    result = judged(*(History(name=f"reference-{number}", ends=(end,)) for number in (1, 2)))
    assert result.outcome == Outcome.UNKNOWN
    assert result.summary.startswith("reference-1: node 0 failed: gaierror: Name or service not known")
