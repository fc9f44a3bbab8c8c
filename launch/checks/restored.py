"""A process goes on with what the run had when it saved what the process loaded: no reference is needed to see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

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
from resumable.launch.explain.codes.optimizer_reasons import MayFollowFromLosses, RateSetBeside
from resumable.launch.explain.codes.state_problems import (
    MAX_NAMES,
    NotRestored,
    SaveUnknown,
    ScheduleBegunAgain,
    StartDoubtful,
)
from resumable.launch.explain.codes.state_reasons import ComponentNotRestored
from resumable.launch.explain.learning_rates import has_first_schedule, rate_violation
from resumable.launch.explain.settings import setting_violation
from resumable.launch.explain.start_difference import altered, why_altered, why_doubtful, why_not_restored
from resumable.launch.explain.unusable_checkpoints import why_wrong
from resumable.launch.explain.witnesses import was_meant
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.group_states import start_state
from resumable.launch.reading.lives import Life
from resumable.launch.reading.start_states import MUST_BE_RESTORED, Beside, Component, Start
from resumable.launch.system.wording import counted, listed


def _restored(evidence: Evidence) -> CheckResult:
    """Where numbers do not repeat this is the proof that state was restored: what does not show it is then unknown."""
    resumed = [life for life in evidence.faulted.resumed if life.first_step]
    if not resumed:
        return not_applicable("no rank went on from a checkpoint")
    starts = evidence.starts
    violations = [*_different_states(evidence, starts), *_different_settings(evidence, resumed, starts)]
    if not evidence.numbers_repeat:
        violations += _lost_beside(evidence, starts)
    doubtful = [one for one in violations if isinstance(one.reason, MayFollowFromLosses)]
    certain = [one for one in violations if one not in doubtful]
    if certain:
        return failed(certain)
    unproved = None if evidence.numbers_repeat else _unproved(evidence, resumed, starts, doubtful)
    if unproved is not None:
        return unproved
    if starts and not any(start.equal.intersection(MUST_BE_RESTORED) for start in starts):
        return not_applicable("what this run had at the save was not recorded")
    if not starts:
        is_recorded = any(start_state(life) is not None for life in resumed)
        return not_applicable(
            "no save of this run was seen to be loaded" if is_recorded else "what processes start from was not recorded"
        )
    return passed(_figures(starts))


restored = Check(
    name="restored",
    claim="Each process goes on with the state that this run had at the save that it loaded, element by element.",
    run=_restored,
    needs_reference=False,
    proves=frozenset({"state"}),
)


def _unproved(
    evidence: Evidence, resumed: Sequence[Life], starts: Sequence[Start], doubtful: Sequence[Violation]
) -> CheckResult | None:
    """What keeps the state from being proved where it does not show in numbers; None if nothing does."""
    for one in doubtful:
        if one.problem is not None:
            return unknown(one.problem, doubtful, reason=one.reason)
    known = {start.life.incarnation for start in starts}
    for life in resumed:
        if life.incarnation not in known:
            return unknown(SaveUnknown(incarnation=life.incarnation, step=life.first_step))
    for start in starts:
        reason, life = why_doubtful(evidence, start), start.life
        if reason is not None:
            problem = StartDoubtful(rank=life.rank, incarnation=life.incarnation, step=life.first_step)
            return unknown(problem, reason=reason)
    return None


def _different_states(evidence: Evidence, starts: Sequence[Start]) -> Iterator[Violation]:
    together: set[tuple[int, str]] = set()
    for start in starts:
        for component in MUST_BE_RESTORED:
            is_told = (start.life.incarnation, component) in together
            if component in start.differing and not is_told and not was_meant(evidence, start, component):
                is_spread = component in start.spread
                together |= {(start.life.incarnation, component)} if is_spread else set()
                problem = _not_restored(start, component, start.differing[component].names)
                why = why_wrong(evidence.faulted, start.life) or why_not_restored(start, component)
                yield at_resume(start.life, problem, why)


def _lost_beside(evidence: Evidence, starts: Sequence[Start]) -> Iterator[Violation]:
    """What no step trains or no checkpoint holds: where numbers repeat, they tell whether it matters."""
    for start in starts:
        for component, names in altered(evidence, start, "lost"):
            yield at_resume(start.life, _not_restored(start, component, names), why_altered(component, names))


def _not_restored(start: Start, component: Component | Beside, names: Sequence[str]) -> NotRestored:
    return NotRestored(
        rank=None if component in start.spread else start.life.rank,
        incarnation=start.life.incarnation,
        step=start.life.first_step,
        component=component,
        is_lost=start.differing[component].is_lost,
        names=tuple(names[:MAX_NAMES]),
        num_names=len(names),
        save_step=start.moment[1],
        path=start.path,
    )


def _different_settings(evidence: Evidence, resumed: Sequence[Life], starts: Sequence[Start]) -> Iterator[Violation]:
    """Rates and others: a scheduler that was restored may follow the losses, but not before the first step."""
    restored_ones = {start.life.incarnation for start in starts if "schedulers" in start.equal}
    lost = [start for start in starts if "optimizer" in start.differing and not was_meant(evidence, start, "optimizer")]
    causes = {start.life.incarnation: why_not_restored(start, "optimizer") for start in lost}
    for life in resumed:
        has_loaded = any(any(one.trajectory.loaded) for one in evidence.faulted.group(life.incarnation))
        if not has_loaded and not _has_moved(evidence, life):  # parameters that never change seem to be of any step
            continue
        if evidence.is_resized:
            if has_first_schedule(evidence, life):
                problem = ScheduleBegunAgain(rank=life.rank, incarnation=life.incarnation, step=life.first_step)
                yield at_resume(life, problem, ComponentNotRestored(component="rate"))
            continue
        has_scheduler = life.incarnation in restored_ones
        for find in (rate_violation, setting_violation):
            violation = find(evidence, life, has_scheduler=has_scheduler)
            if violation is not None:
                # An optimizer that was never loaded has the rate that it was made with.
                cause = causes.get(life.incarnation) if isinstance(violation.reason, RateSetBeside) else None
                changes = {} if cause is None else {"reason": cause, "explanation": str(cause)}
                yield msgspec.structs.replace(violation, **changes)


def _has_moved(evidence: Evidence, life: Life) -> bool:
    """Whether a process began with parameters that only training makes: it went on, whatever it read."""
    first = next(one for one in evidence.faulted.lives if one.rank == life.rank)
    is_known = life.resume is not None and life.resume.how == "parameters" and bool(first.steps)
    return is_known and life.steps[0].before != first.steps[0].before


def _figures(starts: Sequence[Start]) -> str:
    components = [name for name in MUST_BE_RESTORED if any(name in start.equal for start in starts)]
    restarts = {start.life.incarnation: start.moment[1] for start in starts}
    saves = listed([f"after {counted(step, 'step')}" for step in restarts.values()])
    num_unknown = sum(not start.equal for start in starts)
    note = f"; of {counted(num_unknown, 'process')} nothing is known" if num_unknown else ""
    return f"{counted(len(restarts), 'restart')}: {listed(components)} as saved {saves}{note}"
