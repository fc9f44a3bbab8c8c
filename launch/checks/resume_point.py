"""A restart may lose the work since the newest checkpoint, and no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain

from resumable.launch.checks.check import Check
from resumable.launch.explain.check_result import (
    CheckResult,
    Violation,
    at_resume,
    failed,
    not_applicable,
    passed,
    unknown,
)
from resumable.launch.explain.codes.resume import (
    NoCheckpointEver,
    NoEmergencyCheckpoint,
    NothingLoaded,
    NoticeWasted,
    OverwriteUnfinished,
    RemovedTooSoon,
    ResumedTooFar,
    StartedFromScratch,
    WorkLost,
)
from resumable.launch.explain.codes.statement import Problem, Reason
from resumable.launch.explain.unusable_checkpoints import disturbed_readings
from resumable.launch.plan.fault_kinds import NODE_NOTICES
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.handovers import saves_read
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.saves import Saved
from resumable.launch.reading.whole_checkpoints import whole_checkpoints
from resumable.launch.system.wording import counted


def _resume_point(evidence: Evidence) -> CheckResult:
    resumed = evidence.faulted.resumed
    if not resumed:
        return not_applicable("no rank trained after a restart")
    complete = whole_checkpoints(evidence.faulted)
    disturbed = disturbed_readings(evidence.faulted)
    judged = [life for life in resumed if life.incarnation not in disturbed]
    resumed_at = _resumed_at(resumed)
    found = [_violation(life, evidence.faulted, complete, resumed_at) for life in judged]
    violations = [violation for violation in found if violation is not None]
    violations += _without_emergency_checkpoint(evidence, resumed)
    if violations:
        return failed(violations)
    scratch = next((life for life in judged if life.first_step == 0 and life.before), None)
    if scratch is not None and not any(map(_has_saved, evidence.runs)):
        return unknown(NoCheckpointEver(rank=scratch.rank, incarnation=scratch.incarnation))
    restarts = {life.incarnation: life for life in reversed(resumed)}
    elsewhere = (_newer_elsewhere(life, evidence.faulted) for _, life in sorted(restarts.items()))
    return passed(", ".join(_figures(life) for _, life in sorted(restarts.items())), filter(None, elsewhere))


resume_point = Check(
    name="resume_point",
    claim="No more work is lost than since the newest complete checkpoint.",
    run=_resume_point,
    needs_reference=False,
)


def _has_saved(run: Run) -> bool:
    """Whether a file was saved to go on from: what a process saves once all is trained is its result."""
    ends = {(life.incarnation, life.rank): life.end_step for life in run.lives if life.process.has_ended_well}
    files = (one for one in run.saved if one.file.is_saved and one.path)
    return any(one.own_step != ends.get((one.incarnation, one.rank)) for one in files)


def _figures(life: Life) -> str:
    num_lost = max(0, len(life.before) - life.first_step)
    if life.first_step == 0:
        return f"started from scratch: no checkpoint existed; {counted(num_lost, 'step')} done again"
    how = life.resume.how if life.resume else "unknown"
    return f"step {life.first_step} (known by {how}), {counted(num_lost, 'step')} done again"


def _newer_elsewhere(life: Life, run: Run) -> str:
    """Of a job that carries its checkpoints elsewhere by means that nobody saw: that it did not take the newest; or ""."""
    trajectories = [other.trajectory for other in run.group(life.incarnation)]
    paths = {path for one in trajectories for path in one.loaded if path}
    earlier = [one for one in run.saved if one.incarnation < life.incarnation and one.is_finished]
    read = saves_read(trajectories, earlier)
    if not read or paths & {one.path for one in run.saved}:
        return ""
    newest = max((one for one in earlier if one.content.keys() == read[-1].content.keys()), key=lambda one: one.step)
    if newest.step <= life.common_step:
        return ""
    return (
        f"the job went on from step {life.common_step}, and had saved after {counted(newest.step, 'step')}: how checkpoints "
        "come to the place where it reads them nobody saw, nor whether that one was whole there"
    )


def _violation(life: Life, run: Run, complete: Sequence[Saved], resumed_at: Mapping[int, int]) -> Violation | None:
    """What is wrong with the place where a process went on; None if nothing is."""
    kept = _kept(life, resumed_at)
    loadable = [checkpoint for checkpoint in complete if checkpoint.step <= kept.get(checkpoint.incarnation, -1)]
    group = run.group(life.incarnation)
    earlier = [one for one in run.saved if one.incarnation < life.incarnation]
    newest = _newest(life, group, [checkpoint for checkpoint in loadable if not _was_gone(checkpoint, life)], earlier)
    if newest is None or newest.step <= life.common_step:  # what was there once could have been kept
        newest = _newest(life, group, loadable, earlier)
    if life.first_step > len(life.before) and life.before:
        problem = ResumedTooFar(
            rank=life.rank, incarnation=life.incarnation, step=life.first_step, num_done=len(life.before)
        )
        return at_resume(life, problem, _why(life))
    if newest is None or newest.step <= life.common_step or (life.first_step and not newest.is_step_sure):
        return None
    return at_resume(life, _lost(life, newest), _why(life, newest))


def _lost(life: Life, newest: Saved) -> Problem:
    if life.first_step == 0:
        return StartedFromScratch(
            rank=life.rank,
            incarnation=life.incarnation,
            path=newest.path,
            checkpoint_step=newest.step if newest.is_step_sure else None,
        )
    return WorkLost(
        rank=life.rank,
        incarnation=life.incarnation,
        step=life.common_step,
        path=newest.path,
        checkpoint_step=newest.step,
        num_lost=newest.step - life.common_step,
    )


def _why(life: Life, newest: Saved | None = None) -> Reason | None:
    if newest is not None and _was_gone(newest, life):
        return RemovedTooSoon(path=newest.path)
    if newest is not None and newest.is_half_overwritten:
        return OverwriteUnfinished()
    return None if any(life.trajectory.loaded) else NothingLoaded()


def _was_gone(checkpoint: Saved, life: Life) -> bool:
    """Whether the job had removed it when this process began; what was removed later could have been read."""
    return checkpoint.removed_before is not None and checkpoint.removed_before <= life.incarnation


def _without_emergency_checkpoint(evidence: Evidence, resumed: Sequence[Life]) -> Iterator[Violation]:
    """A preemption announces itself: what was done when the notice came must not be lost."""
    for firing in evidence.faulted.firings:
        after = [life for life in resumed if life.incarnation > firing.life.incarnation]
        if firing.kind not in NODE_NOTICES or not after:
            continue
        life = min(after, key=lambda life: (life.incarnation, life.first_step))
        if life.first_step < firing.num_steps:
            problem = NoticeWasted(rank=life.rank, step=life.first_step, num_done=firing.num_steps)
            yield at_resume(life, problem, NoEmergencyCheckpoint())


def _resumed_at(resumed: Sequence[Life]) -> dict[int, int]:
    """The step at which each incarnation went on, or its first rank did."""
    steps: dict[int, int] = {}
    for life in resumed:
        steps[life.incarnation] = min(life.common_step, steps.get(life.incarnation, life.common_step))
    return steps


def _kept(life: Life, resumed_at: Mapping[int, int]) -> dict[int, float]:
    """By earlier incarnation, the step up to which its work was kept when a process started: by no restart thrown away."""
    kept: dict[int, float] = {}
    limit = float("inf")
    for incarnation in reversed(range(life.incarnation)):
        kept[incarnation] = limit
        limit = min(limit, resumed_at.get(incarnation, limit))
    return kept


def _newest(life: Life, group: Sequence[Life], earlier: Sequence[Saved], saved: Sequence[Saved]) -> Saved | None:
    """The checkpoint that the process should have resumed from, as far as that is sure.

    A `best.pt` beside the checkpoints is loaded for other reasons and may be older, so a series counts whose file, by its
    name or by its content, explains the resume point; each rank of the group may have read a part in a series of its own.
    Of several that might, the one with the oldest newest file accuses nobody falsely; but who started from scratch should
    have taken any, and who went on from a file that is written now and then, the one that holds the same and is written
    more often.
    """
    trajectories = [other.trajectory for other in group]
    own = _among(earlier, chain.from_iterable(one.loaded for one in trajectories))
    own = own or _among(earlier, (one.path for one in saves_read(trajectories, saved)))
    explaining = {c.series for c in own if c.step == life.common_step} or {c.series for c in own}
    regular = _regular(explaining, saved)
    newest: dict[str, Saved] = {}
    for checkpoint in sorted(earlier, key=lambda checkpoint: checkpoint.step):
        if checkpoint.series in explaining | regular or (not explaining and checkpoint.file.is_saved):
            newest[checkpoint.series] = checkpoint
    choose = max if regular or not life.first_step else min
    return choose(newest.values(), key=lambda checkpoint: checkpoint.step, default=None)


def _among(checkpoints: Iterable[Saved], paths: Iterable[str]) -> list[Saved]:
    named = {path for path in paths if path}
    return [checkpoint for checkpoint in checkpoints if checkpoint.path in named]


def _regular(explaining: Set[str], saved: Sequence[Saved]) -> set[str]:
    """Series with the same keys as one of these that were saved more often: they are the job's regular checkpoints."""
    num_saved = Counter(one.series for one in saved if one.content)
    keys = {one.series: frozenset(one.content) for one in saved if one.content}
    return {
        other
        for series in explaining & keys.keys()
        for other in keys.keys() - explaining
        if keys[other] == keys[series] and len(keys[series]) > 1 and num_saved[other] > num_saved[series]
    }
