"""Runs points of a sweep in chains: pass by pass, until each has a verdict or chains are of no use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import takewhile

import msgspec

from resumable.launch.evidence.kept_work import forget_work
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Plan, Restarts, Scenario
from resumable.launch.sweep.alike import Alike
from resumable.launch.sweep.chain_follower import ChainFollower
from resumable.launch.sweep.chains import chain_name, chains_of, is_chainable, repetitions_of, without_link
from resumable.launch.sweep.cluster_pool import ClusterPool
from resumable.launch.sweep.confirmation import only_once
from resumable.launch.sweep.continuation import prepare
from resumable.launch.sweep.judge import PointJudge
from resumable.launch.sweep.limit import Limit
from resumable.launch.sweep.review import number_in
from resumable.launch.sweep.verdict_store import VerdictStore

Enter = Callable[[Scenario, Verdict], None]
"""Gets a point, and the verdict on it."""


class ChainRunner:
    """Makes chains of points and carries them out.

    Args:
        plan: Of the sweep.
        run_dir: Gets the evidence, and the plan with each chain before it is begun.
        judge: Of its points.
        pool: Where chains run.
        enter: Called as soon as a point has a verdict.
        show: Called about ten times a second, with the names of the points under way.
        num_jobs: Chains that may run side by side.
        limit: When no point is begun any more.
        alike: What has failed so far; no chain is begun for what would only tell it once more.
    """

    def __init__(
        self,
        plan: Plan,
        run_dir: RunDir,
        judge: PointJudge,
        *,
        pool: ClusterPool,
        enter: Enter,
        show: Callable[[Collection[str]], None],
        num_jobs: int,
        limit: Limit,
        alike: Alike,
    ) -> None:
        self.plan = plan
        self._run_dir = run_dir
        self._judge = judge
        self._pool = pool
        self._enter = enter
        self._show = show
        self._num_jobs = num_jobs
        self._limit = limit
        self._alike = alike
        self._store = VerdictStore(run_dir)

    def run(self, points: Sequence[Scenario]) -> None:
        """Hit these points in chains, as far as that can be done.

        A chain with a point that failed goes on from the life before. Where it cannot, the points behind it go into new
        chains, unless most points of a pass were behind such.
        """
        try:
            self._run(self._chainable(points))
        finally:
            for chain in self.plan.chains:
                forget_work(self._run_dir.scenario(chain.works_in))

    def _run(self, waiting: Sequence[Scenario]) -> None:
        is_worth_it = True
        while waiting and is_worth_it and not self._limit.is_enough():
            ended = begun = self._carry_out(takewhile(self._alike.are_news, self._planned(waiting)))
            while ended:
                ended = self._carry_out(chain for one in ended if (chain := self._gone_on(one)) is not None)
            decided = self._store.found(waiting)
            between = self._alike.between()
            wanted = [link for own in begun for link in own.chain.links if link.point not in between]
            is_worth_it = bool(begun) and 2 * len(decided) >= len(wanted)
            waiting = self._chainable(point for point in waiting if point.name not in decided)

    def repeat(self, failed: Mapping[str, Verdict]) -> None:
        """Hit points that failed in a chain, and not alone, once more behind the faults that came before them.

        Args:
            failed: Verdicts in the chain, by the names of the points.
        """
        for name, verdict in failed.items():
            point = self.plan.scenario(name)
            repeated = self._repeated(point, verdict)
            self._enter(point, only_once(verdict) if repeated is None else repeated)

    def _repeated(self, point: Scenario, verdict: Verdict) -> Verdict | None:
        """The verdict of the first repetition that fails; None if none does."""
        chain = self.plan.scenario(verdict.chain)
        for repetition in repetitions_of(chain, number_in(chain, point), self._restarts, self._next_number):
            self._add([repetition])
            for event in self._pool.run([repetition], is_enough=self._limit.is_over):
                self._show([point.name])
                if event is not None and event.state == "ended":
                    found = self._judge.judge(repetition)
                    if found.outcome is not Outcome.VALID:
                        return found
        return None

    def _chainable(self, points: Iterable[Scenario]) -> list[Scenario]:
        between = self._alike.between()
        return [point for point in points if point.name not in between and is_chainable(point, self._judge.length)]

    def _planned(self, points: Sequence[Scenario]) -> list[Scenario]:
        assert self.plan.sweep is not None
        chains = chains_of(
            points,
            self._judge.length,
            self._restarts,
            tail=self.plan.sweep.tail,
            max_links=-(-len(points) // self._num_jobs),
            first_number=self._next_number,
        )
        self._add(chains)
        return chains

    def _add(self, chains: Sequence[Scenario]) -> None:
        """A node finds what it is asked for in the stored plan."""
        self.plan = msgspec.structs.replace(self.plan, scenarios=(*self.plan.scenarios, *chains))
        self._run_dir.write_plan(self.plan)

    def _gone_on(self, follower: ChainFollower) -> Scenario | None:
        """What a chain that has ended becomes: one that lost a point goes on from the life before."""
        if follower.failed is None or self._limit.is_enough():
            return None
        chain = without_link(
            follower.chain, follower.failed, name=chain_name(self._next_number), unwanted=self._alike.between()
        )
        if chain is None or not prepare(chain, follower.chain, self._run_dir):
            return None
        self._add([chain])
        return chain

    def _carry_out(self, chains: Iterable[Scenario]) -> list[ChainFollower]:
        """Run these chains, each made when its turn comes; returns those that were begun."""
        all_begun: list[ChainFollower] = []
        points = {point.name: point for point in self.plan.points}
        begun: dict[str, ChainFollower] = {}

        for event in self._pool.run(chains, is_enough=self._limit.is_enough):
            ended = event.scenario.name if event is not None and event.state == "ended" else ""
            if event is not None and not ended:
                chain = event.scenario
                begun[chain.name] = ChainFollower(chain, self._run_dir.scenario(chain.name), self._judge)
                all_begun.append(begun[chain.name])
            for name, follower in list(begun.items()):
                for point, verdict in follower.advance(has_ended=name == ended):
                    self._enter(points[point], verdict)
                forget_work(self._run_dir.scenario(follower.chain.works_in), before=follower.num_judged - 1)
                if name == ended:
                    self._end(begun.pop(name))
                elif follower.is_broken or self._limit.is_enough():
                    follower.is_stopped = True
                    self._pool.stop(follower.chain)
            self._show([follower.under_way for follower in begun.values()])
        return all_begun

    def _end(self, follower: ChainFollower) -> None:
        if not follower.is_broken:
            self._store.remove_work(follower.chain)

    @property
    def _next_number(self) -> int:
        return 1 + len(self.plan.chains)

    @property
    def _restarts(self) -> Restarts:
        assert self.plan.sweep is not None
        return self.plan.sweep.restarts
