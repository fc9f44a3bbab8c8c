"""The job must die as planned, restart as planned, and come to its end."""

from __future__ import annotations

from collections.abc import Iterator

from resumable.launch.checks.check import Check
from resumable.launch.evidence.node_records import NodeEnded
from resumable.launch.explain.check_result import CheckResult, Violation, failed, passed, unknown
from resumable.launch.explain.codes.ends import (
    DiedUnplanned,
    LeaveWithAnotherCode,
    NodeFailed,
    NodesWithoutEnd,
    NoRankStarted,
    NothingStartedAgain,
    RanksLeftEarly,
    RanksWithoutEnd,
    RunWithoutEnd,
    SeeLog,
    TakenForFinished,
)
from resumable.launch.explain.codes.resume import RanksWentOnApart
from resumable.launch.explain.codes.statement import Problem, Reason
from resumable.launch.explain.ranks_apart import places_apart
from resumable.launch.explain.unusable_checkpoints import why_unreadable
from resumable.launch.plan.fault_kinds import NOTICES
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.failures import (
    FaultEvent,
    came_to_its_end,
    planned_ends,
    unplanned_death,
    unplanned_ends,
)
from resumable.launch.system.wording import counted


def _progress(evidence: Evidence) -> CheckResult:
    history = evidence.faulted.history
    if not history.incarnations:
        return unknown(NoRankStarted())
    deaths = [_about(death, evidence) for death in unplanned_ends(evidence.faulted)]
    if evidence.is_foreign:  # why he restarted it is his affair; that it ended well is not
        last = history.incarnations[-1]
        deaths = [death for death in deaths if death.incarnation == last]
        if deaths and deaths[0].problem is not None:
            return unknown(deaths[0].problem, deaths)
    if deaths and deaths[0].problem is not None and not _is_of_restart(deaths[0], evidence):
        return unknown(deaths[0].problem, deaths, reason=deaths[0].reason)
    early = deaths or list(_taken_for_finished(evidence))
    if early:
        return failed(early)
    problem = None if evidence.is_cut else _end_problem(evidence)
    if problem is not None:
        return unknown(problem)
    num_restarts = len(history.incarnations) - 1
    has_dismissed = any(process.was_dismissed for process in history.group(history.incarnations[-1]))
    end = "every rank had trained all when it was ended" if has_dismissed else "every rank ended well"
    end = "training went on up to the next fault" if evidence.is_cut else end
    return passed(f"{counted(num_restarts, 'restart')}, then {end}")


progress = Check(
    name="progress",
    claim="The job ended well, and every restart before that was planned.",
    run=_progress,
    needs_reference=False,
)


def _is_of_restart(death: Violation, evidence: Evidence) -> bool:
    """Whether an end that nobody planned is the job's own failure to go on.

    One that came before anything was done to the job is not. Unless the evidence shows why the process had to end, neither
    is one that a later start of the job got past, as what a restart does wrong it does wrong again; nor one by a signal
    from outside, or from a kernel that is short of memory.
    """
    run, number = evidence.faulted, death.incarnation or 0
    if not number:
        return False
    if not isinstance(death.reason, SeeLog):
        return True
    later = [life for life in run.lives if life.incarnation > number and life.rank == death.rank]
    got_past = any(life.end_step > (death.step or 0) for life in later)
    is_from_outside = isinstance(death.problem, DiedUnplanned) and death.problem.is_from_outside
    return not is_from_outside and not (got_past and came_to_its_end(run))


def _taken_for_finished(evidence: Evidence) -> Iterator[Violation]:
    """Ranks that were asked to stop in mid-training and said that all was done: nobody starts them again."""
    run = evidence.faulted
    num_done = {timeline.rank: len(timeline.steps) for timeline in run.timelines}
    for firing in run.firings:
        process = firing.life.process
        is_last = process.incarnation == run.history.incarnations[-1]
        num_steps = len(evidence.expected.get(process.rank, ()))
        is_success = process.exit is not None and process.exit.code == 0
        if firing.kind in NOTICES and is_last and is_success and num_done[process.rank] < num_steps:
            yield Violation(
                problem=TakenForFinished(rank=process.rank, num_done=num_done[process.rank], num_steps=num_steps),
                reason=LeaveWithAnotherCode(),
                rank=process.rank,
                incarnation=process.incarnation,
                step=num_done[process.rank],
                file=process.file,
                line=firing.line,
            )


def _end_problem(evidence: Evidence) -> Problem | None:
    """Why the evidence does not show that the job came to its end; None if it does."""
    history = evidence.faulted.history
    last = history.incarnations[-1]
    if last in planned_ends(evidence.faulted) and unplanned_death(evidence.faulted, last) is not None:
        return NothingStartedAgain()
    num_ranks = len(history.group(last))
    if num_ranks < history.world_size(last):
        return RanksWithoutEnd(num_found=num_ranks, world_size=history.world_size(last))
    if not history.is_sealed:
        return RunWithoutEnd()
    ends = _last_ends(history.ends)
    if not ends:
        return NodesWithoutEnd()
    bad = next((end for end in ends if end.outcome not in ("succeeded", "late")), None)
    return NodeFailed(node=bad.node, outcome=bad.outcome, message=bad.message) if bad else None


def _last_ends(ends: tuple[NodeEnded, ...]) -> list[NodeEnded]:
    """How each node ended the last start of the command."""
    return list({end.node: end for end in sorted(ends, key=lambda end: end.time_ns)}.values())


def _left_early(death: FaultEvent, evidence: Evidence) -> RanksLeftEarly | None:
    """Ranks of the group that ended in order, and too soon: the others waited for them in vain."""
    group = evidence.faulted.group(death.incarnation)
    num_steps = {life.rank: life.end_step for life in group if life.process.has_ended_well}
    early = {rank: num for rank, num in num_steps.items() if num < len(evidence.expected.get(rank, ()))}
    return RanksLeftEarly(num_steps=early) if early else None


def _why(death: FaultEvent, evidence: Evidence) -> Reason:
    """What became of its checkpoint, or that the ranks could not go on together."""
    run = evidence.faulted
    apart = (RanksWentOnApart(what=what, places=places) for what, places in places_apart(run, death.incarnation))
    return (
        why_unreadable(run, death.incarnation)
        or next(apart, None)
        or _left_early(death, evidence)
        or SeeLog(log=death.log or "")
    )


def _about(death: FaultEvent, evidence: Evidence) -> Violation:
    return Violation(
        problem=DiedUnplanned(
            rank=death.rank,
            incarnation=death.incarnation,
            num_steps=death.step,
            error=death.error,
            exit_code=death.exit_code,
            message=death.what.splitlines()[0],
            is_untouched=death.incarnation == 0,
            is_from_outside=death.is_from_outside,
        ),
        reason=_why(death, evidence),
        rank=death.rank,
        incarnation=death.incarnation,
        step=death.step,
        file=death.log,
    )
