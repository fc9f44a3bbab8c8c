"""The same samples are not yet the same batch: augmentation draws random numbers, and a resume may draw others."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from resumable.launch.checks.check import Check
from resumable.launch.explain.check_result import CheckResult, Violation, failed, not_applicable, passed, unknown
from resumable.launch.explain.codes.batch_problems import ContentDiffers
from resumable.launch.explain.codes.references import ReferenceVaries
from resumable.launch.explain.codes.state_reasons import AugmentationVaries
from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.evidence import Evidence, expected_steps
from resumable.launch.reading.step_table import fingerprint
from resumable.launch.reading.steps import NOTHING, Steps
from resumable.launch.reading.trained import TrainedBatch
from resumable.launch.system.wording import counted


def _content(evidence: Evidence) -> CheckResult:
    if not evidence.plan.content:
        return not_applicable("the content was not recorded: --content")
    for other in evidence.references[1:]:
        for rank, steps in expected_steps(other).items():
            if first_difference(_digests(steps), _digests(evidence.expected.get(rank, NOTHING))) is not None:
                return unknown(ReferenceVaries(what="its own content", rank=rank))
    violations = [v for v in (_first_violation(evidence, rank) for rank in evidence.expected) if v is not None]
    if violations:
        return failed(violations)
    num = sum(1 for rank in evidence.expected for _ in _pairs(evidence, rank))
    if not num:
        return not_applicable("no batch with the right samples was found, so that there was no content to compare")
    return passed(f"{counted(num, 'batch')} equal to the last byte")


content = Check(
    name="content",
    claim="Every batch has the content that it has in the uninterrupted run.",
    run=_content,
    on_resize="the number of ranks changed, so batches are different",
    is_comparison=True,
    is_of_batches=True,
)


def _batches(steps: Steps) -> Iterator[TrainedBatch]:
    return (batch for step in steps for batch in step.batches)


def _digests(steps: Steps) -> Sequence[int]:
    return array("Q", (fingerprint(batch.digest) for batch in _batches(steps)))


def _pairs(evidence: Evidence, rank: int) -> Iterator[tuple[TrainedBatch, TrainedBatch]]:
    """Batches of a rank with the samples that they should have, each with its counterpart."""
    timeline = evidence.faulted.timeline(rank)
    found = _batches(timeline.steps) if timeline else iter(())
    for one, two in zip(_batches(evidence.expected[rank]), found, strict=False):
        if one.indices and one.indices == two.indices and one.digest and two.digest:
            yield one, two


def _first_violation(evidence: Evidence, rank: int) -> Violation | None:
    """The first batch of a rank with the right samples and different content; the rest is another check's matter."""
    pair = next((pair for pair in _pairs(evidence, rank) if pair[0].digest != pair[1].digest), None)
    if pair is None:
        return None
    wanted, found = pair  # a loader that goes on may count its own batches from 0: the place is the reference's
    return Violation(
        problem=ContentDiffers(rank=rank, epoch=wanted.epoch, batch=wanted.batch),
        reason=AugmentationVaries(),
        rank=rank,
        epoch=wanted.epoch,
        batch=wanted.batch,
        line=found.line,
    )
