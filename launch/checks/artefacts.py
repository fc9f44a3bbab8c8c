"""What a job leaves behind: state that was lost shows there, if nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice

from resumable.launch.checks.check import Check
from resumable.launch.evidence.rank_records import Figure
from resumable.launch.explain.check_result import CheckResult, Violation, failed, not_applicable, passed, violation_of
from resumable.launch.explain.codes.artefacts import (
    DecisionNotRestored,
    FigureNotRestored,
    SavedFiguresDiffer,
    SavedKeysMissing,
    SavedOutOfTurn,
    SaveMissing,
    SaveNeverFinished,
    SaveNotMadeUp,
)
from resumable.launch.explain.codes.state_problems import SavedStateDiffers
from resumable.launch.explain.codes.state_reasons import StateOfPart
from resumable.launch.explain.codes.statement import Problem, Reason
from resumable.launch.reading.artefact_comparison import ArtefactComparison, Missing, Pair
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.expected_artefacts import ExpectedArtefacts
from resumable.launch.reading.failures import came_to_its_end
from resumable.launch.reading.lives import Life
from resumable.launch.reading.saves import Saved
from resumable.launch.system.wording import counted, listed_in_part

_MAX_FIGURES = 3


def _artefacts(evidence: Evidence) -> CheckResult:
    comparison = ArtefactComparison(evidence)
    pairs = list(comparison.pairs())
    violations = [violation for pair in pairs for violation in _differences(pair, comparison.expected)]
    violations += [_out_of_turn(life, found) for life, found in comparison.out_of_turn()]
    has_ended = came_to_its_end(evidence.faulted)
    if has_ended:  # what it has not done yet is not missing
        violations += map(_missing, comparison.missing())
    if violations:
        return failed(violations)
    if not pairs:
        return not_applicable("no save to compare: none after a restart where training was as in the uninterrupted run")
    notes = [
        f"{problem}: unless it is meant to begin anew with each process, it was not restored"
        for problem in islice(_whole_numbers(pairs, comparison.expected), 1)
    ]
    notes += _kept_otherwise(comparison) if has_ended else ()
    return passed(f"{counted(len(pairs), 'save')} after a restart, with the same content", notes)


artefacts = Check(
    name="artefacts",
    claim="After a restart the job saves what the uninterrupted run saves at the same step, key by key, and finishes it.",
    run=_artefacts,
    on_resize="the number of ranks changed, so gradients are summed in a different order",
    is_comparison=True,
)


def _differences(pair: Pair, expected: ExpectedArtefacts) -> Iterator[Violation]:
    """What is not the same under which key, but for keys whose content is never the same."""
    wanted, found = pair.wanted.digests, pair.found.digests
    keys = expected.lasting_parts(pair.wanted)
    missing = tuple(key for key in keys if key not in found)
    differing = tuple(key for key in keys if key in found and found[key] != wanted[key])
    rank, step, path = pair.life.rank, pair.wanted.own_step, pair.found.name
    if missing:
        problem: Problem = SavedKeysMissing(rank=rank, num_steps=step, path=path, keys=missing)
        yield _violation(pair.life, step, problem, StateOfPart(), pair.found)
    if differing:
        problem = SavedStateDiffers(rank=rank, num_steps=step, path=path, keys=differing)
        yield _violation(pair.life, step, problem, StateOfPart(), pair.found)
    for problem in _figures(pair, expected, are_whole=False):
        yield _violation(pair.life, step, problem, FigureNotRestored(), pair.found)


def _kept_otherwise(comparison: ArtefactComparison) -> Iterator[str]:
    """Who keeps the best few, or the newest, may have forgotten what there was; an emergency's save changes it too."""
    for names, who in zip(comparison.kept_otherwise(), ("this run", "the uninterrupted run"), strict=True):
        if names:
            files = listed_in_part(names[:_MAX_FIGURES], len(names))
            yield f"in the end {who} alone keeps {files}: which files were to be kept may not have been restored"


def _whole_numbers(pairs: Iterable[Pair], expected: ExpectedArtefacts) -> Iterator[SavedFiguresDiffer]:
    """Whole numbers that differ, each by itself: they are told, and accuse nobody.

    They count steps, batches or epochs as the job likes to; what it trained on is judged by what was seen.
    """
    return chain.from_iterable(_figures(pair, expected, are_whole=True) for pair in pairs)


def _figures(pair: Pair, expected: ExpectedArtefacts, *, are_whole: bool) -> Iterator[SavedFiguresDiffer]:
    figures = [
        (name, own, figure)
        for name, figure in expected.telling_figures(pair.wanted)
        if (own := _figure_at(pair.found.figures, name)) != figure and isinstance(figure, int) == are_whole
    ]
    if figures:
        names, found, right = zip(*figures[:_MAX_FIGURES], strict=True)
        rank, step, path = pair.life.rank, pair.wanted.own_step, pair.found.name
        yield SavedFiguresDiffer(rank=rank, num_steps=step, path=path, names=names, found=found, expected=right)


def _figure_at(figures: Mapping[str, Figure], name: str) -> Figure | None:
    """The number under a key path; "" where only one of two lists is so short that its numbers stand each by itself."""
    is_list = name.partition("/")[0] in figures or any(other.startswith(f"{name}/") for other in figures)
    return figures.get(name, "" if is_list else None)


def _out_of_turn(life: Life, found: Saved) -> Violation:
    problem = SavedOutOfTurn(rank=life.rank, num_steps=found.own_step, path=found.name)
    return _violation(life, found.own_step, problem, DecisionNotRestored(), found)


def _missing(missing: Missing) -> Violation:
    life, step = missing.life, missing.step
    if missing.begun is not None:
        never_finished = SaveNeverFinished(rank=life.rank, num_steps=step, path=missing.path)
        return _violation(life, step, never_finished, SaveNotMadeUp(), missing.begun)
    reason: Reason = SaveNotMadeUp() if missing.was_ended_there else DecisionNotRestored()
    return _violation(life, step, SaveMissing(rank=life.rank, num_steps=step, path=missing.path), reason, None)


def _violation(life: Life, step: int, problem: Problem, reason: Reason, found: Saved | None) -> Violation:
    return violation_of(life, problem, reason, step=step, line=None if found is None else found.file.begin + 1)
