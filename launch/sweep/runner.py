"""Carries out a sweep: references, then points without a verdict, then those that failed on plain processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from resumable.launch.cluster import Cluster
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Plan, Scenario, on_plain_processes
from resumable.launch.sweep.alike import NUM_MANY, Alike
from resumable.launch.sweep.chain_runner import ChainRunner
from resumable.launch.sweep.chains import can_be_chained
from resumable.launch.sweep.cluster_pool import ClusterPool
from resumable.launch.sweep.confirmation import Which, confirmed, unconfirmed
from resumable.launch.sweep.display import SweepDisplay
from resumable.launch.sweep.judge import PointJudge
from resumable.launch.sweep.limit import Limit
from resumable.launch.sweep.marks import AGAIN, OUTCOMES, RUNNING, Mark
from resumable.launch.sweep.points import with_points
from resumable.launch.sweep.review import failed_in_chain
from resumable.launch.sweep.tails import too_short
from resumable.launch.sweep.verdict_store import VerdictStore


class SweepRunner:
    """Goes on where the run directory ends.

    Args:
        plan: Of the sweep, as it is stored.
        run_dir: Gets the evidence, the verdicts, and the plan once the points are drawn.
        clusters: Makes a cluster, given the number of the job that it is for.
        display: Shows what happens.
        num_jobs: Runs at the same time.
        limit: When none is begun any more.
        which_again: Which of the points that failed are run again on plain processes.
        num_many: After so many failures with one cause, what would only tell it once more is left out.
    """

    def __init__(
        self,
        plan: Plan,
        run_dir: RunDir,
        clusters: Callable[[int], Cluster],
        display: SweepDisplay,
        *,
        num_jobs: int,
        limit: Limit,
        which_again: Which = "cause",
        num_many: float = NUM_MANY,
    ) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._clusters = clusters
        self._display = display
        self._num_jobs = num_jobs
        self._limit = limit
        self._which_again = which_again
        self._num_many = num_many
        self._store = VerdictStore(run_dir)
        self._verdicts: dict[str, Verdict] = {}

    def run(self) -> None:
        """Do all that is still to do; the verdicts lie in the run directory then.

        Raises:
            UsageError: a moment that was asked for is none of the job's.
            NodeError: nodes die as fast as they are started.
        """
        with ClusterPool(self._plan, self._run_dir, self._clusters, num_jobs=self._num_jobs) as pool:
            if not self._has_points:
                self._run_references(pool)
            judge = PointJudge.of(self._plan, self._run_dir)
            if judge.yardstick.outcome is not Outcome.VALID:
                return
            if not self._has_points:
                self._plan = with_points(self._plan, judge.length)
                self._run_dir.write_plan(self._plan)
            self._run_points(pool, judge)
        while not self._limit.is_over() and (failed := self._unconfirmed()):
            self._run_again(judge, failed)

    @property
    def _has_points(self) -> bool:
        return self._plan.sweep is not None and self._plan.sweep.num_points is not None

    def _run_references(self, pool: ClusterPool) -> None:
        for reference in self._plan.references:
            self._store.clear(reference)
        self._display.begin("uninterrupted runs")
        for _ in pool.run(self._plan.references):
            self._display.tick()

    def _run_points(self, pool: ClusterPool, judge: PointJudge) -> None:
        self._verdicts = self._store.found(self._plan.points)
        alike = Alike(self._plan.points, self._verdicts, num_many=self._num_many)
        self._display.begin("points", self._plan.points, _marks(self._verdicts))
        chains = ChainRunner(
            self._plan,
            self._run_dir,
            judge,
            pool=pool,
            enter=self._enter,
            show=self._show,
            num_jobs=self._num_jobs,
            limit=self._limit,
            alike=alike,
        )
        if can_be_chained(self._plan, judge.length, repeats=judge.repeats):
            chains.run([point for point in self._plan.points if point.name not in self._verdicts])
            self._display.begin("points, each in a run of its own", self._plan.points, _marks(self._verdicts))
        broken = {
            name: verdict for name, verdict in self._verdicts.items() if failed_in_chain(name, verdict, chains.plan)
        }
        in_chain = [point for point in self._plan.points if point.name in broken]
        for point, verdict in self._run_alone(pool, judge, in_chain, is_enough=self._limit.is_over):
            if verdict.outcome is Outcome.VALID:
                self._enter(point, broken[point.name])
            else:
                broken.pop(point.name)
        chains.repeat(broken)
        self._plan = chains.plan
        while not self._limit.is_enough() and (waiting := self._waiting(judge, alike)):
            news = (point for point in waiting if point.name not in alike.between())
            for _ in self._run_alone(pool, judge, news, is_enough=self._limit.is_enough):
                pass

    def _waiting(self, judge: PointJudge, alike: Alike) -> list[Scenario]:
        """The points that have no verdict; when there are none, those whose verdict says too little: they lose it."""
        without = self._without_verdict(alike)
        if not without:
            for point in too_short(self._plan.points, self._verdicts, judge.length):
                self._store.clear(point)
                del self._verdicts[point.name]
            without = self._without_verdict(alike)
            self._display.begin("points, each in a run of its own", self._plan.points, _marks(self._verdicts))
        return without

    def _without_verdict(self, alike: Alike) -> list[Scenario]:
        between = alike.between()
        return [point for point in self._plan.points if point.name not in (self._verdicts.keys() | between)]

    def _run_alone(
        self, pool: ClusterPool, judge: PointJudge, points: Iterable[Scenario], *, is_enough: Callable[[], bool]
    ) -> Iterator[tuple[Scenario, Verdict]]:
        """Give each point a run of its own, and yield the verdict on it once it is entered."""
        for event in pool.run(self._cleared(points), is_enough=is_enough):
            if event is not None and event.state == "begun":
                self._display.mark(event.scenario, RUNNING)
            if event is not None and event.state == "ended":
                verdict = judge.judge(event.scenario)
                self._enter(event.scenario, verdict)
                yield event.scenario, verdict
            self._display.tick()

    def _cleared(self, points: Iterable[Scenario]) -> Iterator[Scenario]:
        """Each without what an earlier run of it left, when its turn comes."""
        for point in points:
            self._store.clear(point)
            yield point

    def _show(self, under_way: Collection[str]) -> None:
        self._display.show_under_way(under_way)
        self._display.tick()

    def _unconfirmed(self) -> list[Scenario]:
        """The points still to be run on plain processes; where one is contradicted, it confirms no other."""
        verdicts = self._verdicts
        done = {
            point.name
            for point in self._plan.points
            if self._store.find(on_plain_processes(self._run_of(point))) is not None
            or (point.name in verdicts and verdicts[point.name].confirmation == "only once")
        }
        return unconfirmed(self._plan.points, verdicts, done, num_alike=1 if self._which_again == "cause" else math.inf)

    def _run_again(self, judge: PointJudge, failed: Sequence[Scenario]) -> None:
        warm = {on_plain_processes(self._run_of(point)): point for point in failed}
        again = dict.fromkeys((point.name for point in warm.values()), AGAIN)
        self._display.begin(
            "points, failed ones again on plain processes", self._plan.points, _marks(self._verdicts) | again
        )
        for scenario in warm:
            self._store.clear(scenario)
        with ClusterPool(self._plan, self._run_dir, self._clusters, num_jobs=self._num_jobs, is_warm=False) as pool:
            for event in pool.run(warm, is_enough=self._limit.is_over):
                if event is not None and event.state == "ended":
                    verdict = judge.judge(event.scenario)
                    point = warm[event.scenario]
                    # The point's own verdict comes first: where that of the second run lies, both are there.
                    self._enter(point, confirmed(judge.judge(self._run_of(point)), verdict))
                    self._store.enter(event.scenario, verdict)
                self._display.tick()

    def _run_of(self, point: Scenario) -> Scenario:
        """What decided a point: its own run, or a chain."""
        chain = self._verdicts[point.name].chain if point.name in self._verdicts else ""
        return self._plan.scenario(chain) if chain else point

    def _enter(self, point: Scenario, verdict: Verdict) -> None:
        self._store.enter(point, verdict)
        self._verdicts[point.name] = verdict
        if verdict.outcome is Outcome.VALID:
            self._store.remove_work(point)
        else:
            self._limit.note_failure()
        self._display.enter(point, verdict)


def _marks(verdicts: Mapping[str, Verdict]) -> dict[str, Mark]:
    return {name: OUTCOMES[verdict.outcome] for name, verdict in verdicts.items()}
