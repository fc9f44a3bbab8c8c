"""The check that the whole program is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from resumable.launch.checks.check import Check
from resumable.launch.evidence.rank_records import FIRST_INPUT, Batch, Loader
from resumable.launch.explain.batch_order import explain
from resumable.launch.explain.before_fault import HAD_FINISHED, differs_before_any_fault, had_finished_before_fault
from resumable.launch.explain.check_result import CheckResult, Violation, failed, passed, unknown, violation_of
from resumable.launch.explain.codes.batch_problems import (
    BatchAfterEnd,
    BatchDiffers,
    BatchesUnidentified,
    BatchMissing,
    UnknownRank,
    WindowDiffers,
)
from resumable.launch.explain.codes.optimizer_reasons import EveryUpdateLeftOut
from resumable.launch.explain.codes.place_reasons import AccumulationOffCount
from resumable.launch.explain.codes.share_reasons import PartOfDataset, WorkersDiffer
from resumable.launch.explain.codes.statement import Problem, Reason
from resumable.launch.explain.codes.verdicts import DiffersBeforeAnyFault, NothingResumed
from resumable.launch.explain.first_wrong_epoch import RankComparison
from resumable.launch.explain.interleaving import explain_interleaving
from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.reindexing import is_part
from resumable.launch.reading.step_table import UNKNOWN
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import TrainedBatch, TrainedStep
from resumable.launch.system.wording import counted

_ONLY_EPOCH_0 = (
    "only epoch 0 was resumed in: an epoch that is not restored would not show; "
    "kill it behind a save in epoch 1: --fault sigkill@epoch=1,batch=B:rank=0"
)
_NOTHING_LOADED = "training began from scratch again: going on from a checkpoint was not tested; try a later moment"
MAX_EXPLAINED = 8
"""Differences that are explained: each asks for a look at every rank's whole reference."""


class _Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first batch in which a process differs from the reference."""

    step: int
    wanted: TrainedBatch | None
    """None if the reference had ended."""
    found: TrainedBatch | None
    """None if the process stopped before it."""
    window: tuple[int, int] | None = None
    """Batches of the step, expected and found, where both runs do it, and the one makes it of the other's and of more."""

    @property
    def at(self) -> TrainedBatch | None:
        """Whose loader, epoch and batch are named."""
        return self.wanted or self.found


def _rank_sequence(evidence: Evidence) -> CheckResult:
    differences = list(_differences(evidence))
    if differs_before_any_fault(differences, evidence):
        return unknown(DiffersBeforeAnyFault(), differences)
    if differences:
        num_ranks = len({violation.rank for violation in differences})
        return failed(differences, f"{num_ranks} of {counted(len(evidence.expected), 'rank')} differ")
    resumed = evidence.faulted.resumed
    if resumed:
        return _nothing_differs(resumed, num_epochs=_num_epochs(evidence))
    return passed(HAD_FINISHED) if had_finished_before_fault(evidence) else unknown(_nothing_resumed(evidence))


rank_sequence = Check(
    name="rank_sequence",
    claim="Each rank trains on exactly the batches of the uninterrupted run, in their order.",
    run=_rank_sequence,
    on_resize="the number of ranks changed; global_batches compares instead",
    is_comparison=True,
    is_of_batches=True,
    proves=frozenset({"samples", "state"}),
)


def _nothing_resumed(evidence: Evidence) -> NothingResumed:
    """A job that a fault did not stop, such as a short partition, has proved nothing about its resume."""
    survived = {firing.fault for firing in evidence.faulted.firings if firing.was_survived}
    return NothingResumed(survived=tuple(str(fault) for fault in evidence.scenario.faults if fault.number in survived))


def _num_epochs(evidence: Evidence) -> int:
    return len(set().union(*(steps.batch_column("epochs") for steps in evidence.expected.values())))


def _nothing_differs(resumed: Sequence[Life], *, num_epochs: int) -> CheckResult:
    """That nothing differs says something only if there was something to compare."""
    if any(UNKNOWN in life.steps.batch_column("batch_keys") for life in resumed):
        return unknown(BatchesUnidentified())
    first = min(life.first_step for life in resumed)
    num_ranks = len({life.rank for life in resumed})
    num_batches = sum(life.steps.num_batches for life in resumed)
    summary = f"{counted(num_ranks, 'rank')}, {counted(num_batches, 'batch')}, equal from step {first} on"
    is_early = all(batch.epoch == 0 for life in resumed for step in life.steps[:1] for batch in step.batches)
    notes = [_NOTHING_LOADED] if not any(life.first_step for life in resumed) else []
    notes += [_ONLY_EPOCH_0] if is_early and num_epochs > 1 else []
    return passed(summary, notes)


def _differences(evidence: Evidence) -> Iterator[Violation]:
    """The first difference of every process, and why for the first few."""
    last = evidence.faulted.history.incarnations[-1:]
    num_explained = 0
    for life in evidence.faulted.lives:
        if life.rank not in evidence.expected:
            yield Violation(problem=UnknownRank(rank=life.rank), rank=life.rank, incarnation=life.incarnation)
            continue
        must_end = life.incarnation in last and life.process.has_ended_well
        difference = _first_difference(life, evidence.wanted(life), must_end=must_end)
        if difference is not None:
            why = _why(life, evidence, difference) if num_explained < MAX_EXPLAINED else None
            num_explained += 1
            yield _violation(life, difference, why)


def _why(life: Life, evidence: Evidence, difference: _Difference) -> Reason | None:
    if life.trajectory.left_out and not life.steps:
        return EveryUpdateLeftOut(num=len(life.trajectory.left_out))
    if difference.window is not None and _has_same_batches(evidence.wanted(life), life.steps):
        return AccumulationOffCount()
    number = difference.at.loader if difference.at and evidence.profile.interleaves_loaders else None
    loader = next((loader for own, loader in life.trajectory.loaders.items() if number in (None, own)), None)
    if loader is not None and is_part(loader, evidence.profile):
        return PartOfDataset(num_samples=loader.num_samples or 0)
    wanted_loaders = _loaders_of(evidence, life.rank)
    wanted = None if loader is None else wanted_loaders.get(loader.loader)
    if loader is not None and wanted is not None and loader.num_samples is None:
        num_found, num_expected = (max(1, one.num_workers) for one in (loader, wanted))
        if num_found != num_expected:
            return WorkersDiffer(num_found=num_found, num_expected=num_expected)
    turns = explain_interleaving(
        evidence.wanted(life),
        life.steps,
        wanted_loaders=wanted_loaders,
        found_loaders=life.trajectory.loaders,
    )
    return turns or explain(
        RankComparison(
            rank=life.rank,
            expected=evidence.expected,
            found=life.steps,
            first_step=life.first_step,
            is_whole=life.process.has_ended_well,
            loader=number,
            batch_size=(loader.batch_size or 0) if loader else 0,
            num_read_ahead=loader.num_workers * (loader.prefetch_factor or 0) if loader else 0,
            num_sharing=loader.num_workers if loader and loader.num_samples is None and loader.num_workers > 1 else 0,
            num_batches=(loader.num_batches or 0) if loader else 0,
            num_samples=(
                _num_samples(difference.wanted, wanted_loaders),
                _num_samples(difference.found, life.trajectory.loaders),
            ),
            has_epochs=life.trajectory.sampler_epoch is not None,
            has_loader=any(batch.loader < FIRST_INPUT for step in life.steps for batch in step.batches),
            num_accumulated=life.num_open,
            num_ahead=_num_ahead(life, evidence.faulted),
        )
    )


def _has_same_batches(wanted: Steps, found: Steps) -> bool:
    """Whether the same batches come in the same order, whatever steps they are made into, as far as both go."""
    first, second = wanted.batch_column("batch_keys"), found.batch_column("batch_keys")
    num = min(len(first), len(second))
    return first[:num] == second[:num]


def _loaders_of(evidence: Evidence, rank: int) -> Mapping[int, Loader]:
    """Those of the uninterrupted run."""
    timeline = evidence.references[0].timeline(rank)
    return timeline.lives[0].trajectory.loaders if timeline is not None else {}


def _num_samples(batch: TrainedBatch | None, loaders: Mapping[int, Loader]) -> int:
    """Of the data set that a batch is of; 0 where no loader says."""
    loader = loaders.get(batch.loader) if batch is not None else None
    return (loader.num_samples or 0) if loader is not None else 0


def _num_ahead(life: Life, run: Run) -> int:
    """Batches that the rank had been given and not trained on when the step was done that a process went on from."""
    doer = run.doer(life.rank, life.first_step - 1, before=life.incarnation)
    if doer is None:
        return 0
    step, loaders = doer.steps[life.first_step - 1 - doer.first_step], doer.trajectory.loaders
    last = max((batch.line for batch in step.batches), default=step.line)
    since = doer.process.records[last : step.line]
    return sum(isinstance(one, Batch) and one.grad_enabled and one.loader in loaders for one in since)


def _first_difference(life: Life, rest: Steps, *, must_end: bool) -> _Difference | None:
    number = rest.first_difference(life.steps, "keys")
    if number is None or (number == len(life.steps) and not must_end):
        return None
    wanted = rest[number] if number < len(rest) else None
    found = life.steps[number] if number < len(life.steps) else None
    return _difference(life.first_step + number, wanted, found)


def _difference(step: int, wanted: TrainedStep | None, found: TrainedStep | None) -> _Difference:
    """Of one step; None is what an end leaves of it."""
    is_done_by_both = wanted is not None and found is not None
    wanted, found = wanted or TrainedStep(), found or TrainedStep()
    number = first_difference(wanted.keys, found.keys) or 0
    sizes = len(wanted.batches), len(found.batches)
    return _Difference(
        step=step,
        wanted=wanted.batches[number] if number < len(wanted.batches) else None,
        found=found.batches[number] if number < len(found.batches) else None,
        window=sizes if is_done_by_both and number == min(sizes) else None,
    )


def _violation(life: Life, difference: _Difference, why: Reason | None) -> Violation:
    wanted, found = difference.wanted, difference.found
    return violation_of(
        life,
        _problem(life.rank, difference),
        why,
        step=difference.step,
        at=difference.at,
        line=found.line if found else len(life.process.records),
        expected=wanted.samples if wanted else (),
        found=found.samples if found else (),
    )


def _problem(rank: int, difference: _Difference) -> Problem:
    wanted, found = difference.wanted, difference.found
    if difference.window is not None:
        num_expected, num_found = difference.window
        return WindowDiffers(rank=rank, step=difference.step, num_found=num_found, num_expected=num_expected)
    if wanted is None:
        return BatchAfterEnd(rank=rank)
    if found is None:
        return BatchMissing(rank=rank, epoch=wanted.epoch, batch=wanted.batch)
    is_by_content = not wanted.indices and not found.indices
    return BatchDiffers(rank=rank, epoch=wanted.epoch, batch=wanted.batch, is_by_content=is_by_content)
