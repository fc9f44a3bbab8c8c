"""The check that the whole program is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from launch.checks.result import MAX_INDICES, CheckResult, Violation, counted, failed, not_applicable, passed, unknown
from launch.culprit import Suspect
from launch.evidence import Evidence
from launch.explanation import explain
from launch.timeline import Life, Steps
from launch.trajectory import TrainedBatch, TrainedStep

MAX_EXPLAINED = 8
"""Differences that are explained: each asks for a look at every rank's whole reference."""


def rank_sequence(evidence: Evidence) -> CheckResult:
    """Each rank trains on exactly the batches of the uninterrupted run, in their order."""
    if not evidence.references:
        return not_applicable("there is no uninterrupted run to compare with")
    if evidence.is_resized:
        return not_applicable("the number of ranks changed; global_batches compares instead")
    differences = list(_differences(evidence))
    if any(violation.incarnation == 0 for violation in differences):
        return unknown("the run differs before its first restart: the job does not repeat itself", differences)
    if differences:
        num_ranks = len({violation.rank for violation in differences})
        return failed(f"{num_ranks} of {counted(len(evidence.expected), 'rank')} differ", differences)
    return _nothing_differs([life for life in evidence.faulted.lives if life.resume is not None])


def _nothing_differs(resumed: Sequence[Life]) -> CheckResult:
    """That nothing differs says something only if there was something to compare."""
    if not resumed:
        return unknown("no rank trained after a restart")
    batches = [batch for life in resumed for step in life.steps for batch in step.batches]
    if any(batch.key is None for batch in batches):
        return unknown("some batches were recorded without indices and without a digest")
    first = min(life.first_step for life in resumed)
    num_ranks = len({life.rank for life in resumed})
    return passed(f"{counted(num_ranks, 'rank')}, {counted(len(batches), 'batch')}, equal from step {first} on")


def _differences(evidence: Evidence) -> Iterator[Violation]:
    """The first difference of every process, and why for the first few."""
    last = evidence.faulted.history.incarnations[-1:]
    num_explained = 0
    for life in evidence.faulted.lives:
        expected = evidence.expected.get(life.rank)
        if expected is None:
            yield Violation(
                sentence=f"rank {life.rank} is not in the reference", rank=life.rank, incarnation=life.incarnation
            )
            continue
        must_end = life.incarnation in last and life.trajectory.process.exit is not None
        violation = _first_difference(life, expected, must_end=must_end)
        if violation is not None:
            why = _why(life, evidence.expected) if num_explained < MAX_EXPLAINED else ""
            num_explained += 1
            yield msgspec.structs.replace(violation, explanation=why)


def _why(life: Life, expected: Mapping[int, Steps]) -> str:
    loader = next(iter(life.trajectory.loaders.values()), None)
    return explain(
        Suspect(
            rank=life.rank,
            expected=expected,
            found=life.steps,
            first_step=life.first_step,
            is_whole=life.trajectory.process.exit is not None,
            batch_size=(loader.batch_size or 0) if loader else 0,
            num_workers=loader.num_workers if loader else 0,
        )
    )


def _first_difference(life: Life, expected: Steps, *, must_end: bool) -> Violation | None:
    rest = expected[life.first_step :]
    for number, (wanted, found) in enumerate(zip(rest, life.steps, strict=False)):
        if wanted.keys != found.keys:
            return _difference(life, life.first_step + number, wanted, found)
    num = min(len(rest), len(life.steps))
    if len(life.steps) > len(rest):
        return _difference(life, life.first_step + num, TrainedStep(), life.steps[num])
    if must_end and len(rest) > num:
        return _difference(life, life.first_step + num, rest[num], TrainedStep())
    return None


def _difference(life: Life, step: int, wanted: TrainedStep, found: TrainedStep) -> Violation:
    """The first batch in which two steps differ."""
    pairs = zip(wanted.batches, found.batches, strict=False)
    same = next((n for n, (left, right) in enumerate(pairs) if left.key != right.key), None)
    number = min(len(wanted.batches), len(found.batches)) if same is None else same
    wanted_batch = wanted.batches[number] if number < len(wanted.batches) else None
    found_batch = found.batches[number] if number < len(found.batches) else None
    at = wanted_batch or found_batch
    return Violation(
        sentence=_sentence(life.rank, wanted_batch, found_batch),
        rank=life.rank,
        incarnation=life.incarnation,
        epoch=at.epoch if at else None,
        batch=at.batch if at else None,
        step=step,
        expected=wanted_batch.indices[:MAX_INDICES] if wanted_batch else (),
        found=found_batch.indices[:MAX_INDICES] if found_batch else (),
        file=life.trajectory.process.file,
        line=found_batch.line if found_batch else len(life.trajectory.process.records),
    )


def _sentence(rank: int, wanted: TrainedBatch | None, found: TrainedBatch | None) -> str:
    if wanted is None:
        return f"rank {rank} trained on a batch after the reference had ended"
    if found is None:
        return f"rank {rank} stopped before batch {wanted.batch} of epoch {wanted.epoch}"
    return f"rank {rank} trained on other samples in batch {wanted.batch} of epoch {wanted.epoch}"
