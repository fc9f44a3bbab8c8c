"""A restart may lose the work since the newest checkpoint, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from resumable.launch.evidence.rank_records import Save
from resumable.launch.explain.at_resume import at_resume
from resumable.launch.explain.unusable_checkpoints import BESIDE, disturbed_readings
from resumable.launch.plan.fault_kinds import FaultKind
from resumable.launch.reading.checkpoints import Checkpoint, loaded_by
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.outcome import CheckResult, Violation, failed, not_applicable, passed, unknown
from resumable.launch.system.wording import counted


def resume_point(evidence: Evidence) -> CheckResult:
    """No more work is lost than since the newest complete checkpoint."""
    resumed = evidence.faulted.resumed
    if not resumed:
        return not_applicable("no rank trained after a restart")
    complete = _complete(evidence.faulted.checkpoints)
    disturbed = disturbed_readings(evidence.faulted)
    judged = [life for life in resumed if life.incarnation not in disturbed]
    violations = [violation for life in judged for violation in _violations(life, complete, resumed)]
    violations += _without_emergency_checkpoint(evidence, resumed)
    if violations:
        return failed(violations[0].sentence, violations)
    anew = next((life for life in judged if life.first_step == 0 and life.before), None)
    if anew is not None and not any(map(_has_saved, (*evidence.references, evidence.faulted))):
        where = f"rank {anew.rank} in incarnation {anew.incarnation}"
        return unknown(
            f"{where} began anew, and no run was seen to save a checkpoint: nothing shows that it can resume"
        )
    restarts = {life.incarnation: life for life in reversed(resumed)}
    told = ", ".join(_told(life) for _, life in sorted(restarts.items()))
    return passed(told)


def _has_saved(run: Run) -> bool:
    return any(isinstance(record, Save) for process in run.history.processes for record in process.records)


def _told(life: Life) -> str:
    num_lost = max(0, len(life.before) - life.first_step)
    if life.first_step == 0:
        return f"began anew, there was no checkpoint; {counted(num_lost, 'step')} done again"
    how = life.resume.how if life.resume else "unknown"
    return f"step {life.first_step} (known by {how}), {counted(num_lost, 'step')} done again"


def _violations(life: Life, complete: Sequence[Checkpoint], resumed: Sequence[Life]) -> Iterator[Violation]:
    step = life.first_step
    earlier = [checkpoint for checkpoint in complete if _could_load(checkpoint, life, resumed)]
    newest = _newest(life, earlier)
    where = f"rank {life.rank} in incarnation {life.incarnation}"
    if step > len(life.before) and life.before:
        yield _violation(life, f"{where} goes on from step {step}, though it had done {len(life.before)} only")
    elif newest is None or newest.step <= step:
        return
    elif step == 0:
        of_step = f" of step {newest.step}" if newest.is_step_sure else ""
        yield _violation(life, f"{where} began anew, though {newest.path}{of_step} was whole", newest)
    elif newest.is_step_sure:
        num_lost = newest.step - step
        sentence = f"{where} goes on from step {step}, though {newest.path} of step {newest.step} was whole"
        yield _violation(life, f"{sentence}: {counted(num_lost, 'step')} lost needlessly", newest)


def _without_emergency_checkpoint(evidence: Evidence, resumed: Sequence[Life]) -> Iterator[Violation]:
    """A preemption announces itself: what was done when the notice came must not be lost."""
    for firing in evidence.faulted.firings:
        after = [life for life in resumed if life.incarnation > firing.life.incarnation]
        if firing.kind != FaultKind.PREEMPT or not after:
            continue
        life = min(after, key=lambda life: (life.incarnation, life.first_step))
        if life.first_step < firing.num_steps:
            sentence = (
                f"rank {life.rank} goes on from step {life.first_step}, though {counted(firing.num_steps, 'step')}"
            )
            yield at_resume(
                life,
                f"{sentence} were done when the notice of the preemption came",
                "the job left no emergency checkpoint in the time of grace",
            )


def _violation(life: Life, sentence: str, newest: Checkpoint | None = None) -> Violation:
    explanation = "it loaded no checkpoint" if not any(loaded_by(life.trajectory)) else ""
    if newest is not None and newest.is_half_overwritten:
        explanation = f"its writer never finished the next one that it wrote over it: {BESIDE}"
    return at_resume(life, sentence, explanation)


def _could_load(checkpoint: Checkpoint, life: Life, resumed: Sequence[Life]) -> bool:
    """Whether a file was there when a process started, and not of work that a later restart threw away."""
    if checkpoint.incarnation >= life.incarnation:
        return False
    between = [other for other in resumed if checkpoint.incarnation < other.incarnation < life.incarnation]
    return all(checkpoint.step <= other.first_step for other in between)


def _newest(life: Life, earlier: Sequence[Checkpoint]) -> Checkpoint | None:
    """The checkpoint that the process should have resumed from, as far as that is sure.

    A `best.pt` beside the checkpoints is loaded for other reasons and may be older, so a series counts whose file
    explains the resume point. Of several that might, the one with the oldest newest file accuses nobody falsely; but
    who began anew should have taken any.
    """
    loaded = [path for path in loaded_by(life.trajectory) if path]
    own = [checkpoint for checkpoint in earlier if checkpoint.path in loaded]
    explaining = {c.series for c in own if c.step == life.first_step} or {c.series for c in own}
    newest: dict[str, Checkpoint] = {}
    for checkpoint in sorted(earlier, key=lambda checkpoint: checkpoint.step):
        if checkpoint.series in explaining or (not explaining and checkpoint.is_saved):
            newest[checkpoint.series] = checkpoint
    choose = min if life.first_step else max
    return choose(newest.values(), key=lambda checkpoint: checkpoint.step, default=None)


def _complete(checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
    """Settled files whose like from every rank is there: a checkpoint in shards needs all of them.

    `rank-0.pt` and `rank-1.pt` of one step are one series; a step that only some of the writers reached is not whole.
    """
    settled = [checkpoint for checkpoint in checkpoints if checkpoint.is_settled]
    writers: dict[str, set[int]] = {}
    at_step: dict[tuple[str, int], set[int]] = {}
    for checkpoint in settled:
        writers.setdefault(checkpoint.series, set()).add(checkpoint.rank)
        at_step.setdefault((checkpoint.series, checkpoint.step), set()).add(checkpoint.rank)
    return [c for c in settled if at_step[c.series, c.step] == writers[c.series]]
