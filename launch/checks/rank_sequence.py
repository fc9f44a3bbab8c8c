"""The check that the whole program is for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from resumable.launch.checks.nothing_left import NOTHING_LEFT, is_nothing_left
from resumable.launch.checks.undisturbed import UNDISTURBED, is_undisturbed
from resumable.launch.explain.batch_order import explain
from resumable.launch.explain.first_wrong_epoch import Suspect
from resumable.launch.reading.checkpoints import loaded_by
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.outcome import (
    MAX_INDICES,
    CheckResult,
    Violation,
    failed,
    not_applicable,
    passed,
    unknown,
)
from resumable.launch.reading.reindexing import is_part
from resumable.launch.reading.trajectory import Steps, TrainedBatch, TrainedStep
from resumable.launch.system.wording import counted

_ONLY_EPOCH_0 = "only epoch 0 was resumed in: an epoch that is not restored would not show"
MAX_EXPLAINED = 8
"""Differences that are explained: each asks for a look at every rank's whole reference."""


class _Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first batch in which a process differs from the reference."""

    step: int
    wanted: TrainedBatch | None
    """None if the reference had ended."""
    found: TrainedBatch | None
    """None if the process stopped before it."""

    @property
    def at(self) -> TrainedBatch | None:
        """Whose loader, epoch and batch are named."""
        return self.wanted or self.found


def rank_sequence(evidence: Evidence) -> CheckResult:
    """Each rank trains on exactly the batches of the uninterrupted run, in their order."""
    if not evidence.references:
        return not_applicable("there is no uninterrupted run to compare with")
    if evidence.is_resized:
        return not_applicable("the number of ranks changed; global_batches compares instead")
    differences = list(_differences(evidence))
    if any(is_undisturbed(violation, evidence) for violation in differences):
        return unknown(UNDISTURBED, differences)
    if differences:
        num_ranks = len({violation.rank for violation in differences})
        return failed(f"{num_ranks} of {counted(len(evidence.expected), 'rank')} differ", differences)
    resumed = evidence.faulted.resumed
    if resumed:
        return _nothing_differs(resumed, num_epochs=_num_epochs(evidence))
    return passed(NOTHING_LEFT) if is_nothing_left(evidence) else unknown(_why_nothing_resumed(evidence))


def _why_nothing_resumed(evidence: Evidence) -> str:
    """A job that a fault did not stop, such as a short partition, has proved nothing about its resume."""
    survived = {firing.fault for firing in evidence.faulted.firings if firing.was_survived}
    outlived = ", ".join(str(fault) for fault in evidence.scenario.faults if fault.number in survived)
    return f"no rank trained after a restart{f': the job outlived {outlived}' if outlived else ''}"


def _num_epochs(evidence: Evidence) -> int:
    return len({batch.epoch for steps in evidence.expected.values() for step in steps for batch in step.batches})


def _nothing_differs(resumed: Sequence[Life], *, num_epochs: int) -> CheckResult:
    """That nothing differs says something only if there was something to compare."""
    batches = [batch for life in resumed for step in life.steps for batch in step.batches]
    if any(batch.key is None for batch in batches):
        return unknown("some batches were recorded without indices and without a digest")
    first = min(life.first_step for life in resumed)
    num_ranks = len({life.rank for life in resumed})
    summary = f"{counted(num_ranks, 'rank')}, {counted(len(batches), 'batch')}, equal from step {first} on"
    is_early = all(batch.epoch == 0 for life in resumed for step in life.steps[:1] for batch in step.batches)
    return passed(f"{summary}; {_ONLY_EPOCH_0}" if is_early and num_epochs > 1 else summary)


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
        difference = _first_difference(life, expected, must_end=must_end)
        if difference is not None:
            why = _why(life, evidence, difference) if num_explained < MAX_EXPLAINED else ""
            num_explained += 1
            yield _violation(life, difference, why)


def _why(life: Life, evidence: Evidence, difference: _Difference) -> str:
    number = difference.at.loader if difference.at and evidence.traits.side_by_side else None
    loader = next((loader for own, loader in life.trajectory.loaders.items() if number in (None, own)), None)
    if loader is not None and is_part(loader, evidence.traits):
        return (
            f"its data set has {loader.num_samples} samples, whose indices are others, and neither losses "
            "nor parameters show that it went on with the right part"
        )
    return explain(
        Suspect(
            rank=life.rank,
            expected=evidence.expected,
            found=life.steps,
            first_step=life.first_step,
            is_whole=life.trajectory.process.exit is not None,
            loader=number,
            batch_size=(loader.batch_size or 0) if loader else 0,
            num_workers=loader.num_workers if loader else 0,
            num_accumulated=_num_accumulated(life, evidence.faulted),
        )
    )


def _num_accumulated(life: Life, run: Run) -> int:
    """Batches that the checkpoint which a process went on from was saved in the middle of."""
    paths = loaded_by(life.trajectory)
    earlier = [one for one in run.checkpoints if one.incarnation < life.incarnation and one.path in paths]
    fitting = [checkpoint.num_accumulated for checkpoint in earlier if checkpoint.step == life.first_step]
    return fitting[-1] if fitting else 0


def _first_difference(life: Life, expected: Steps, *, must_end: bool) -> _Difference | None:
    rest = expected[life.first_step :]
    for number, (wanted, found) in enumerate(zip(rest, life.steps, strict=False)):
        if wanted.keys != found.keys:
            return _difference(life.first_step + number, wanted, found)
    num = min(len(rest), len(life.steps))
    if len(life.steps) > len(rest):
        return _difference(life.first_step + num, TrainedStep(), life.steps[num])
    if must_end and len(rest) > num:
        return _difference(life.first_step + num, rest[num], TrainedStep())
    return None


def _difference(step: int, wanted: TrainedStep, found: TrainedStep) -> _Difference:
    pairs = zip(wanted.batches, found.batches, strict=False)
    same = next((n for n, (left, right) in enumerate(pairs) if left.key != right.key), None)
    number = min(len(wanted.batches), len(found.batches)) if same is None else same
    return _Difference(
        step=step,
        wanted=wanted.batches[number] if number < len(wanted.batches) else None,
        found=found.batches[number] if number < len(found.batches) else None,
    )


def _violation(life: Life, difference: _Difference, why: str) -> Violation:
    wanted, found, at = difference.wanted, difference.found, difference.at
    return Violation(
        sentence=_sentence(life.rank, wanted, found),
        explanation=why,
        rank=life.rank,
        incarnation=life.incarnation,
        epoch=at.epoch if at else None,
        batch=at.batch if at else None,
        step=difference.step,
        expected=wanted.samples[:MAX_INDICES] if wanted else (),
        found=found.samples[:MAX_INDICES] if found else (),
        file=life.trajectory.process.file,
        line=found.line if found else len(life.trajectory.process.records),
    )


def _sentence(rank: int, wanted: TrainedBatch | None, found: TrainedBatch | None) -> str:
    if wanted is None:
        return f"rank {rank} trained on a batch after the reference had ended"
    if found is None:
        return f"rank {rank} stopped before batch {wanted.batch} of epoch {wanted.epoch}"
    return f"rank {rank} trained on other samples in batch {wanted.batch} of epoch {wanted.epoch}"
