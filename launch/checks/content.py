"""The same samples are not yet the same batch: augmentation draws random numbers, and a resume may draw others."""

from __future__ import annotations

from collections.abc import Iterator

from resumable.launch.reading.evidence import Evidence, expected_steps
from resumable.launch.reading.outcome import CheckResult, Violation, failed, not_applicable, passed, unknown
from resumable.launch.reading.trajectory import Steps, TrainedBatch
from resumable.launch.system.wording import counted


def content(evidence: Evidence) -> CheckResult:
    """Every batch has the content that it has in the uninterrupted run."""
    if not evidence.plan.content:
        return not_applicable("the content was not recorded: --content")
    if evidence.is_resized:
        return not_applicable("the number of ranks changed, so batches are others")
    if not evidence.references:
        return not_applicable("there is no uninterrupted run to compare with")
    for other in evidence.references[1:]:
        for rank, steps in expected_steps(other).items():
            if _digests(steps) != _digests(evidence.expected.get(rank, ())):
                return unknown(f"the uninterrupted run does not repeat its own content on rank {rank}")
    violations = [violation for rank in evidence.expected for violation in _violations(evidence, rank)]
    if violations:
        return failed(violations[0].sentence, violations)
    num = sum(len(_digests(steps)) for steps in evidence.expected.values())
    return passed(f"{counted(num, 'batch')} equal to the last byte")


def _digests(steps: Steps) -> list[str | None]:
    return [batch.digest for step in steps for batch in step.batches]


def _violations(evidence: Evidence, rank: int) -> Iterator[Violation]:
    """The first batch of a rank with the right samples and another content; other samples are another check's matter."""
    timeline = evidence.faulted.timeline(rank)
    found = [batch for step in (timeline.steps if timeline else ()) for batch in step.batches]
    expected = [batch for step in evidence.expected[rank] for batch in step.batches]
    different = (pair for pair in zip(expected, found, strict=False) if _differs(*pair))
    for batch in [batch for _, batch in different][:1]:
        yield Violation(
            sentence=f"rank {rank} trained in epoch {batch.epoch}, batch {batch.batch}, on the samples with other content",
            explanation="random state of the augmentation was not restored, or depends on the process: see SeededDataset",
            rank=rank,
            epoch=batch.epoch,
            batch=batch.batch,
            line=batch.line,
        )


def _differs(expected: TrainedBatch, found: TrainedBatch) -> bool:
    return expected.indices != () and expected.indices == found.indices and expected.digest != found.digest
