"""The job must die as planned, restart as planned, and come to its end."""

from __future__ import annotations

from collections.abc import Iterator

from launch.checks.result import CheckResult, Violation, counted, failed, passed, unknown
from launch.death import Death, planned_ends, unplanned_death
from launch.evidence import Evidence
from launch.records import NodeEnded


def progress(evidence: Evidence) -> CheckResult:
    """The job ended well, and every restart before that was planned."""
    history = evidence.faulted.history
    if not history.incarnations:
        return unknown("no rank was started")
    deaths = [_about(death) for death in _unplanned(evidence)]
    if deaths and deaths[0].incarnation == 0:
        return unknown(f"{deaths[0].sentence}; nothing had been done to it yet", deaths)
    if deaths:
        return failed(deaths[0].sentence, deaths)
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
    return list({end.node: end for end in ends}.values())


def _about(death: Death) -> Violation:
    where = f"rank {death.rank} died unplanned in incarnation {death.incarnation} after {counted(death.step, 'step')}"
    return Violation(
        sentence=f"{where}: {death.what.splitlines()[0]}",
        explanation=f"its own words are in {death.log}",
        rank=death.rank,
        incarnation=death.incarnation,
        step=death.step,
        file=death.log,
    )
