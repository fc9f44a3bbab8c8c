"""What a job saves is what it will go on from next time: a state that was not restored shows there, if nowhere else."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping

from resumable.launch.checks.check import Check
from resumable.launch.evidence.rank_records import Save
from resumable.launch.explain.problems import SavedStateDiffers
from resumable.launch.explain.reasons import StateOfPart
from resumable.launch.explain.result import CheckResult, Violation, failed, not_applicable, passed
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life, Run
from resumable.launch.system.wording import counted

Saves = dict[int, list[Save]]
"""By the number of steps done since training began, in their order."""


def _saved_state(evidence: Evidence) -> CheckResult:
    first, *others = (_saves_of(run) for run in evidence.references)
    if any(_contents(other) != _contents(first) for other in others):
        return not_applicable("the uninterrupted run does not save the same twice")
    pairs = [
        (life, step, expected, found)
        for life in evidence.faulted.resumed
        for step, saves in _saves_in(life).items()
        for expected, found in _pairs(first.get(life.rank, {}).get(step, []), saves)
        if _is_state_right(life, step, evidence)
    ]
    violations = [v for life, step, expected, found in pairs for v in _violation(life, step, expected, found)]
    if violations:
        return failed(violations)
    if not pairs:
        return not_applicable("no tensors were seen saved after a restart, at a step where they are known")
    return passed(f"{counted(len(pairs), 'save')} after a restart, with the same tensors")


saved_state = Check(
    name="saved_state",
    claim="After a restart the job saves the tensors that the uninterrupted run saved at the same step.",
    run=_saved_state,
    on_resize="the number of ranks changed, so gradients are summed in a different order",
    is_comparison=True,
)


def _saves_of(run: Run) -> dict[int, Saves]:
    return {life.rank: _saves_in(life) for life in run.lives}


def _saves_in(life: Life) -> Saves:
    lines = [step.line for step in life.trajectory.steps]
    saves: Saves = {}
    for record in life.trajectory.process.records:
        if isinstance(record, Save) and record.content and record.writer != "thread":
            step = life.first_step + bisect_left(lines, record.sequence + 1)
            saves.setdefault(step, []).append(record)
    return saves


def _contents(saves: Mapping[int, Saves]) -> list[tuple[int, int, list[dict[str, str]]]]:
    return [
        (rank, step, [save.content for save in found])
        for rank, own in sorted(saves.items())
        for step, found in sorted(own.items())
    ]


def _pairs(expected: list[Save], found: list[Save]) -> Iterator[tuple[Save, Save]]:
    """The saves of one step, if they are alike: an emergency checkpoint, or one of the best model, has no counterpart."""
    if [save.content.keys() for save in expected] == [save.content.keys() for save in found]:
        yield from zip(expected, found, strict=True)


def _is_state_right(life: Life, step: int, evidence: Evidence) -> bool:
    """Whether batches and parameters are the uninterrupted run's up to this step; differences are another check's matter."""
    expected = evidence.expected.get(life.rank, ())[life.first_step : step]
    found = life.steps[: step - life.first_step]
    return [(one.keys, one.after, one.losses) for one in expected] == [(o.keys, o.after, o.losses) for o in found]


def _violation(life: Life, step: int, expected: Save, found: Save) -> Iterator[Violation]:
    differing = tuple(key for key in expected.content if expected.content[key] != found.content[key])
    if differing:
        yield Violation(
            problem=SavedStateDiffers(rank=life.rank, num_steps=step, keys=differing),
            reason=StateOfPart(),
            rank=life.rank,
            incarnation=life.incarnation,
            step=step,
            file=life.trajectory.process.file,
            line=found.sequence + 1,
        )
