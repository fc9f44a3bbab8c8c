from __future__ import annotations

import msgspec

from resumable.launch.checks.content import content
from resumable.launch.evidence.history import History
from resumable.launch.evidence.rank_records import Batch
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.codes.batch_problems import ContentDiffers
from resumable.launch.explain.codes.references import ReferenceVaries
from resumable.launch.explain.outcome import Outcome
from resumable.launch.reading.evidence import Evidence, gather
from tests.launch import histories
from tests.launch.changes import changed, fields
from tests.launch.histories import Job

JOB = Job()


def digested(history: History, *, wrong_from: int | None = None) -> History:
    """Every batch with a digest of its samples; from an incarnation on with another one."""
    for incarnation in history.incarnations:
        mark = "other" if wrong_from is not None and incarnation >= wrong_from else "same"
        change = fields(Batch, digest=lambda line, mark=mark: f"{mark} {line.indices}")
        history = changed(history, change, incarnation=incarnation)
    return history


def judged(*, wrong_from: int | None = None, second_reference: str = "same", is_asked: bool = True) -> CheckResult:
    evidence: Evidence = histories.one_kill(JOB)
    plan = msgspec.structs.replace(evidence.plan, content=is_asked)
    second = digested(histories.reference(JOB, 2), wrong_from=0 if second_reference == "other" else None)
    references = [digested(histories.reference(JOB)), second]
    faulted = digested(evidence.faulted.history, wrong_from=wrong_from)
    return content(gather(plan, evidence.scenario, references, faulted))


def test_equal_content_is_valid() -> None:
    """Every batch has the digest that it has in the reference."""
    assert judged().outcome == Outcome.VALID


def test_other_content_after_the_restart_is_invalid() -> None:
    """The sentence names rank, epoch and batch."""
    result = judged(wrong_from=1)
    assert result.outcome == Outcome.INVALID
    first = result.violations[0]
    assert first.problem == ContentDiffers(rank=0, epoch=1, batch=0)
    assert (first.rank, first.epoch, first.batch, first.line) == (0, 1, 0, 5)


def test_the_place_is_that_of_the_uninterrupted_run() -> None:
    """Whatever the loader that goes on counts its batches from."""
    evidence = histories.one_kill(Job(num_samples=32))
    plan = msgspec.structs.replace(evidence.plan, content=True)
    references = [digested(histories.reference(Job(num_samples=32), number)) for number in (1, 2)]
    faulted = digested(evidence.faulted.history, wrong_from=1)
    counted_anew = fields(Batch, when=lambda line: line.epoch == 0, batch=lambda line: line.batch - 4)
    faulted = changed(faulted, counted_anew, incarnation=1)
    [first, _] = content(gather(plan, evidence.scenario, references, faulted)).violations
    assert (first.epoch, first.batch) == (0, 4)


def test_a_job_whose_content_differs_by_itself_is_unknown() -> None:
    """What is not the same without a restart cannot be after one."""
    result = judged(wrong_from=1, second_reference="other")
    assert (result.outcome, result.problem) == (Outcome.UNKNOWN, ReferenceVaries(what="its own content", rank=0))


def test_content_that_nobody_recorded_is_not_judged() -> None:
    """It must be asked for: it costs a digest of every batch."""
    assert judged(is_asked=False).outcome == Outcome.NOT_APPLICABLE


def test_only_what_was_compared_is_counted() -> None:
    """A batch with different samples is another check's matter, and equal to nothing."""
    job = Job(num_samples=32)
    evidence = histories.one_kill(job, rank1=lambda epochs: [epochs[0][::-1], *epochs[1:]])
    plan = msgspec.structs.replace(evidence.plan, content=True)
    references = [digested(histories.reference(job, number)) for number in (1, 2)]
    result = content(gather(plan, evidence.scenario, references, digested(evidence.faulted.history)))
    assert (result.outcome, result.summary) == (Outcome.VALID, "44 batches equal to the last byte")
