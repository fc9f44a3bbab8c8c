"""Judges the points of a sweep again from their stored evidence."""

from __future__ import annotations

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Plan, on_plain_processes
from resumable.launch.sweep.confirmation import confirmed
from resumable.launch.sweep.judge import PointJudge
from resumable.launch.sweep.verdict_store import VerdictStore


def review(plan: Plan, run_dir: RunDir) -> dict[str, Verdict]:
    """Verdicts by the names of the points, of all that were run to their end; nothing is stored."""
    store, judge = VerdictStore(run_dir), PointJudge.of(plan, run_dir)
    verdicts: dict[str, Verdict] = {}
    for point in plan.points:
        if store.is_done(point):
            verdict = judge.judge(point)
            if verdict.outcome is not Outcome.VALID and store.is_done(on_plain_processes(point)):
                verdict = confirmed(verdict, judge.judge(on_plain_processes(point)))
            verdicts[point.name] = verdict
    return verdicts
