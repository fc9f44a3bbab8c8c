"""Carries out a sweep: the references, then every point that has no verdict, then the failed ones once more, cold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from resumable.launch.cluster import Cluster
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge.verdict import Verdict
from resumable.launch.outcome import Outcome
from resumable.launch.plan.plan import Plan, Scenario, cold
from resumable.launch.sweep.cluster_pool import Crew
from resumable.launch.sweep.confirmation import Which, confirmed, unconfirmed
from resumable.launch.sweep.display import SweepDisplay
from resumable.launch.sweep.judge import PointJudge
from resumable.launch.sweep.marks import AGAIN, OUTCOMES, RUNNING, Mark
from resumable.launch.sweep.points import with_points
from resumable.launch.sweep.verdict_store import VerdictBook


class SweepRunner:
    """Goes on where the run directory ends.

    Args:
        plan: Of the sweep, as it is stored.
        run_dir: Gets the evidence, the verdicts, and the plan once the points are drawn.
        clusters: Makes a cluster, given the number of the job that it is for.
        display: Is told what happens.
        num_jobs: Runs that go on at once.
        until: Time on the monotonic clock after which none is begun any more.
        which_cold: Which of the points that failed are run again cold.
    """

    def __init__(
        self,
        plan: Plan,
        run_dir: RunDir,
        clusters: Callable[[int], Cluster],
        display: SweepDisplay,
        *,
        num_jobs: int,
        until: float = float("inf"),
        which_cold: Which = "each",
    ) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._clusters = clusters
        self._display = display
        self._num_jobs = num_jobs
        self._until = until
        self._which_cold = which_cold
        self._book = VerdictBook(run_dir)

    def run(self) -> None:
        """Do all that is still to do; the verdicts lie in the run directory then.

        Raises:
            UsageError: a moment that was asked for is none of the job's.
            NodeError: nodes die as fast as they are started.
        """
        with Crew(self._plan, self._run_dir, self._clusters, num_jobs=self._num_jobs) as crew:
            if not self._has_points:
                self._run_references(crew)
            judge = PointJudge.of(self._plan, self._run_dir)
            if judge.yardstick.outcome is not Outcome.VALID:
                return
            if not self._has_points:
                self._plan = with_points(self._plan, judge.extent)
                self._run_dir.write_plan(self._plan)
            self._run_points(crew, judge)
        self._run_cold(judge)

    @property
    def _has_points(self) -> bool:
        return self._plan.sweep is not None and self._plan.sweep.num_points is not None

    def _run_references(self, crew: Crew) -> None:
        for reference in self._plan.references:
            self._book.clear(reference)
        self._display.begin("uninterrupted runs")
        for _ in crew.run(self._plan.references):
            self._display.tick()

    def _run_points(self, crew: Crew, judge: PointJudge) -> None:
        verdicts = self._book.found(self._plan.points)
        to_do = [point for point in self._plan.points if point.name not in verdicts]
        self._display.begin("points", self._plan.points, _marks(verdicts))
        for point in to_do:
            self._book.clear(point)
        for news in crew.run(to_do, until=self._until):
            if news is not None and news.state == "begun":
                self._display.mark(news.scenario, RUNNING)
            if news is not None and news.state == "ended":
                self._enter(news.scenario, judge.judge(news.scenario))
            self._display.tick()

    def _run_cold(self, judge: PointJudge) -> None:
        verdicts = self._book.found(self._plan.points)
        is_cold = {point.name for point in self._plan.points if self._book.find(cold(point)) is not None}
        failed = unconfirmed(self._plan.points, verdicts, is_cold, which=self._which_cold)
        warm = {cold(point): point for point in failed}
        again = dict.fromkeys((point.name for point in warm.values()), AGAIN)
        self._display.begin("failed points again, on plain processes", self._plan.points, _marks(verdicts) | again)
        for scenario in warm:
            self._book.clear(scenario)
        with Crew(self._plan, self._run_dir, self._clusters, num_jobs=self._num_jobs, is_cold=True) as crew:
            for news in crew.run(warm, until=self._until):
                if news is not None and news.state == "ended":
                    verdict = judge.judge(news.scenario)
                    point = warm[news.scenario]
                    # The point's own verdict comes first: that of its cold start says that both are there.
                    self._enter(point, confirmed(judge.judge(point), verdict))
                    self._book.enter(news.scenario, verdict)
                self._display.tick()

    def _enter(self, point: Scenario, verdict: Verdict) -> None:
        self._book.enter(point, verdict)
        if verdict.outcome is Outcome.VALID:
            self._book.remove_work(point)
        self._display.mark(point, OUTCOMES[verdict.outcome])


def _marks(verdicts: Mapping[str, Verdict]) -> dict[str, Mark]:
    return {name: OUTCOMES[verdict.outcome] for name, verdict in verdicts.items()}
