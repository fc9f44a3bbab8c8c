"""The job must die as planned, restart as planned, and come to its end."""

from __future__ import annotations

from collections.abc import Iterator

from resumable.launch.checks.ranks_agree import disagreements
from resumable.launch.evidence.node_records import NodeEnded
from resumable.launch.explain.unusable_checkpoints import why_unreadable
from resumable.launch.plan.fault_kinds import NOTICES
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.failures import Death, has_ended_well, planned_ends, unplanned_death
from resumable.launch.reading.outcome import CheckResult, Violation, failed, passed, unknown
from resumable.launch.system.wording import counted


def progress(evidence: Evidence) -> CheckResult:
    """The job ended well, and every restart before that was planned."""
    history = evidence.faulted.history
    if not history.incarnations:
        return unknown("no rank was started")
    deaths = [_about(death, evidence) for death in _unplanned(evidence)]
    if deaths and deaths[0].incarnation == 0:
        return unknown(f"{deaths[0].sentence}; nothing had been done to it yet", deaths)
    if deaths:
        return failed(deaths[0].sentence, deaths)
    early = list(_taken_for_finished(evidence))
    if early:
        return failed(early[0].sentence, early)
    problem = _end_problem(evidence)
    if problem is not None:
        return unknown(problem)
    num_restarts = len(history.incarnations) - 1
    return passed(f"{counted(num_restarts, 'restart')}, then every rank ended well")


def _unplanned(evidence: Evidence) -> Iterator[Death]:
    """Who is to blame for each incarnation that ended without a fault, though not well."""
    planned = planned_ends(evidence.faulted)
    for incarnation in evidence.faulted.history.incarnations:
        if incarnation not in planned:
            death = unplanned_death(evidence.faulted, incarnation)
            if death is not None:
                yield death


def _taken_for_finished(evidence: Evidence) -> Iterator[Violation]:
    """Ranks that were asked to stop in mid-training and said that all was done: nobody starts them again."""
    run = evidence.faulted
    num_done = {timeline.rank: len(timeline.steps) for timeline in run.timelines}
    for firing in run.firings:
        process = firing.life.trajectory.process
        is_last = process.incarnation == run.history.incarnations[-1]
        num_steps = len(evidence.expected.get(process.rank, ()))
        is_success = process.exit is not None and process.exit.code == 0
        if firing.kind in NOTICES and is_last and is_success and num_done[process.rank] < num_steps:
            done = f"{num_done[process.rank]} of {counted(num_steps, 'step')}"
            yield Violation(
                sentence=f"rank {process.rank} ended with exit code 0 after {done}, because it was asked to stop",
                explanation="who started it takes it for finished: leave with another code, such as 143",
                rank=process.rank,
                incarnation=process.incarnation,
                step=num_done[process.rank],
                file=process.file,
                line=firing.line,
            )


def _end_problem(evidence: Evidence) -> str | None:
    """Why the evidence does not show that the job came to its end; None if it does."""
    history = evidence.faulted.history
    last = history.incarnations[-1]
    if last in planned_ends(evidence.faulted) and unplanned_death(evidence.faulted, last) is not None:
        return "nothing was started again after the last fault"
    num_ranks = len(history.group(last))
    if num_ranks < history.world_size(last):
        return f"only {num_ranks} of {counted(history.world_size(last), 'rank')} left an ending"
    ends = _last_ends(history.ends)
    if not ends:
        return "no node said how it ended"
    bad = next((end for end in ends if end.outcome not in ("succeeded", "late")), None)
    return f"node {bad.node} {bad.outcome}: {bad.message}".rstrip(": ") if bad else None


def _last_ends(ends: tuple[NodeEnded, ...]) -> list[NodeEnded]:
    """How each node ended the last start of the command."""
    return list({end.node: end for end in sorted(ends, key=lambda end: end.time_ns)}.values())


def _left_early(death: Death, evidence: Evidence) -> list[str]:
    """Ranks of the group that ended in order, and too soon: the others waited for them in vain."""
    group = [life for life in evidence.faulted.lives if life.incarnation == death.incarnation]
    num_steps = {life.rank: life.first_step + len(life.steps) for life in group}
    return [
        f"rank {life.rank} had left with exit code 0 after {counted(num_steps[life.rank], 'step')}"
        for life in group
        if has_ended_well(life.trajectory.process) and num_steps[life.rank] < len(evidence.expected.get(life.rank, ()))
    ]


def _about(death: Death, evidence: Evidence) -> Violation:
    """What ended it, and why: what became of its checkpoint, or that the ranks could not go on together."""
    run = evidence.faulted
    apart = disagreements(run, death.incarnation) or _left_early(death, evidence)
    why = why_unreadable(run, death.incarnation) or ", ".join(apart)
    where = f"rank {death.rank} died unplanned in incarnation {death.incarnation} after {counted(death.step, 'step')}"
    return Violation(
        sentence=f"{where}: {death.what.splitlines()[0]}",
        explanation=why or f"its own words are in {death.log}",
        rank=death.rank,
        incarnation=death.incarnation,
        step=death.step,
        file=death.log,
    )
