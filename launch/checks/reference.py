"""A proof is worth what its yardstick is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise, zip_longest

from resumable.launch.checks.check import Check
from resumable.launch.evidence.rank_records import Index, Loader
from resumable.launch.explain.check_result import CheckResult, passed, unknown
from resumable.launch.explain.codes.references import (
    ReferenceFailed,
    ReferenceMissing,
    ReferenceNodeFailed,
    ReferenceRanksDiffer,
    ReferenceUnusable,
    ReferenceVaries,
    ReferenceWithoutOrder,
    Weakness,
)
from resumable.launch.explain.codes.statement import Problem
from resumable.launch.reading.epoch_samples import EpochSamples, num_distinct
from resumable.launch.reading.evidence import Evidence, expected_steps
from resumable.launch.reading.failures import FaultEvent, came_to_its_end, unplanned_death
from resumable.launch.reading.lives import Run
from resumable.launch.reading.step_table import UNKNOWN
from resumable.launch.reading.steps import Steps
from resumable.launch.system.wording import counted

_NUM_NOTED = 2
"""Epochs that are looked at for repeated samples: in each of them a draw with replacement shows."""


def _reference(evidence: Evidence) -> CheckResult:
    problem = next(_problems(evidence), None)
    if problem is not None:
        return unknown(problem)
    num_batches = sum(steps.num_batches for steps in evidence.expected.values())
    figures = f"{counted(len(evidence.references), 'run')} of {counted(num_batches, 'batch')}"
    return passed(f"{figures}, equal in every batch", _notes(evidence))


reference = Check(
    name="reference",
    claim="The uninterrupted run repeats itself, and its batches tell one order from another.",
    run=_reference,
    is_of_reference=True,
)


def _problems(evidence: Evidence) -> Iterator[Problem]:
    """Why the references are no yardstick."""
    needed = 1 if evidence.plan.command in ("python", "record") else max(2, len(evidence.plan.references))
    if len(evidence.references) < needed:
        yield ReferenceMissing()
    for run in evidence.references:
        yield from _own_problems(run, is_exact=evidence.numbers_repeat)
    first = evidence.expected
    for run in evidence.references[1:]:
        yield from _differences(first, expected_steps(run))


def _own_problems(run: Run, *, is_exact: bool) -> Iterator[Problem]:
    name = run.history.name
    num_lives = len(run.history.incarnations)
    if num_lives > 1 and all(round_.group for round_ in run.history.rounds) and came_to_its_end(run):
        yield ReferenceUnusable(run=name, what="is several trainings, one after another")
    deaths = (unplanned_death(run, incarnation) for incarnation in run.history.incarnations)
    yield from (_failed(name, death) for death in deaths if death is not None)
    for end in run.history.ends:
        if end.message:
            yield ReferenceNodeFailed(run=name, node=end.node, message=end.message)
    if not run.timelines:
        yield ReferenceUnusable(run=name, what="recorded nothing")
    if num_lives > 1:
        yield ReferenceUnusable(run=name, what="was restarted, though nothing was done to it")
    ends = run.history.ends
    if any(end.outcome != "succeeded" for end in ends) or not ends or not run.history.is_sealed:
        yield ReferenceUnusable(run=name, what="did not come to its end")
    for timeline in run.timelines:
        what = _weakness(timeline.steps)
        if what is not None and not (is_exact and _has_parameters_of_its_own(timeline.steps)):
            yield ReferenceWithoutOrder(run=name, rank=timeline.rank, num_steps=len(timeline.steps), what=what)


def _failed(name: str, death: FaultEvent) -> ReferenceFailed:
    return ReferenceFailed(
        run=name,
        rank=death.rank,
        error=death.error,
        exit_code=death.exit_code,
        message=death.what.splitlines()[0],
        log=death.log or "",
    )


def _weakness(steps: Steps) -> Weakness | None:
    """Why a rank's sequence cannot tell a right order from a wrong one.

    A few steps without a batch that was seen are those of a rank that waits for others, or whose gradients come from
    elsewhere; with more of those than of others, what was compared would stand for what was not seen.
    """
    keys = steps.batch_column("batch_keys")
    if not keys:
        return "no batches"
    if UNKNOWN in keys:
        return "unidentified batches"
    if 2 * steps.num_idle > len(steps):
        return "mostly no batches"
    if len(steps) < 2:
        return "too few steps"
    return "equal batches" if len(set(keys)) < 2 else None


def _has_parameters_of_its_own(steps: Steps) -> bool:
    """Whether each step leaves parameters that no other leaves: those tell where a job went on, and whether it is right.

    So it is with the whole data set as one batch, or where gradients come from nowhere that could be watched.
    """
    afters = steps.column("afters")
    return 2 <= len(afters) == len(set(afters)) and UNKNOWN not in afters


def _differences(first: dict[int, Steps], second: dict[int, Steps]) -> Iterator[Problem]:
    if first.keys() != second.keys():
        yield ReferenceRanksDiffer()
    for rank in sorted(first.keys() & second.keys()):
        step = first[rank].first_difference(second[rank], "keys")
        if step is not None:
            yield ReferenceVaries(what="itself", rank=rank, step=step)


def _notes(evidence: Evidence) -> Iterator[str]:
    """What is no fault of a resume, but worth knowing, as the first two epochs show it."""
    epochs = EpochSamples(evidence.expected.values())
    is_again = {0, 1} <= set(epochs.epochs) and _are_equal(epochs, 0, 1)
    if is_again and any(map(_is_shuffled, epochs.batches(0))):
        yield "every epoch has the same shuffled order (is set_epoch called?)"
    if not evidence.profile.interleaves_loaders:
        yield from _repeats(epochs, evidence.references[0])


def _are_equal(epochs: EpochSamples, one: int, other: int) -> bool:
    pairs = zip_longest(epochs.batches(one), epochs.batches(other))
    return all(first == second for first, second in pairs)


def _repeats(epochs: EpochSamples, run: Run) -> Iterator[str]:
    """An epoch that repeats samples beyond padding: drawn with replacement, or an order that is no permutation."""
    loaders = [r for life in run.lives for r in life.process.events if isinstance(r, Loader)]
    lengths = {loader.num_samples or 0 for loader in loaders}
    num_samples = lengths.pop() if len(lengths) == 1 else 0
    for epoch in epochs.epochs[:_NUM_NOTED] if num_samples else ():
        num = epochs.num_samples([epoch])
        num_repeats = num - num_distinct(chain.from_iterable(epochs.batches(epoch)))
        if num_repeats > max(0, num - num_samples):
            yield f"epoch {epoch} repeats samples, {counted(num_repeats, 'time')} in all (drawn with replacement?)"
            return


def _is_shuffled(indices: Sequence[Index]) -> bool:
    numbers = [index for index in indices if isinstance(index, int)]
    return any(first > second for first, second in pairwise(numbers))
