"""What the evidence of a sweep says of its points; of what was stored only in which run each of them was decided."""

from __future__ import annotations

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Plan, Scenario, on_plain_processes
from resumable.launch.reading.evidence import Evidence
from resumable.launch.sweep.confirmation import confirmed, only_once
from resumable.launch.sweep.judge import PointJudge
from resumable.launch.sweep.verdict_store import VerdictStore


class Review:
    """Judges points from the run that decided each: its own, or a chain of points.

    Args:
        plan: Of the sweep, with all that was run.
        run_dir: Of the sweep.
        judge: Of its points.
    """

    def __init__(self, plan: Plan, run_dir: RunDir, judge: PointJudge) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._judge = judge
        self._store = VerdictStore(run_dir)

    def verdict(self, point: Scenario) -> Verdict:
        """The verdict on a point that was run to its end, once more on plain processes if it failed."""
        chain = self._chain(point)
        if chain is None:
            return self._confirmed(point)
        if is_repetition(chain):
            return self._confirmed(chain)
        verdict = self._judge.judge_link(chain, number_in(chain, point))
        if verdict.outcome is Outcome.VALID or not self._run_dir.scenario(point.name).events.is_dir():
            return verdict
        return only_once(verdict) if self._judge.judge(point).outcome is Outcome.VALID else verdict

    def evidence(self, point: Scenario) -> Evidence:
        """All that there is of the run that decided a point."""
        chain = self._chain(point)
        return (
            self._judge.evidence(point)
            if chain is None
            else self._judge.evidence_of_link(chain, number_in(chain, point))
        )

    def folder(self, point: Scenario) -> str:
        """Name of the folder in which that lies."""
        return (self._chain(point) or point).name

    def _chain(self, point: Scenario) -> Scenario | None:
        stored = self._store.find(point)
        return self._plan.chain_of(point.name, stored.chain) if stored is not None else None

    def _confirmed(self, scenario: Scenario) -> Verdict:
        verdict, plain = self._judge.judge(scenario), on_plain_processes(scenario)
        if verdict.outcome is Outcome.VALID or not self._store.is_done(plain):
            return verdict
        return confirmed(verdict, self._judge.judge(plain))


def review(plan: Plan, run_dir: RunDir) -> dict[str, Verdict]:
    """Verdicts by the names of the points, of all that were run to their end; nothing is stored."""
    store = VerdictStore(run_dir)
    points = Review(plan, run_dir, PointJudge.of(plan, run_dir))
    return {point.name: points.verdict(point) for point in plan.points if store.is_done(point)}


def failed_in_chain(point: str, verdict: Verdict, plan: Plan) -> bool:
    """Whether a point failed among others, and it is still to be seen what it does alone."""
    chain = plan.chain_of(point, verdict.chain)
    is_open = verdict.outcome is not Outcome.VALID and verdict.confirmation == "none"
    return is_open and chain is not None and not is_repetition(chain)


def is_repetition(chain: Scenario) -> bool:
    """Whether a chain only repeats what led to the failure of its last point."""
    return not chain.links[0].point


def number_in(chain: Scenario, point: Scenario) -> int:
    """Number of a point's link."""
    return [link.point for link in chain.links].index(point.name)
