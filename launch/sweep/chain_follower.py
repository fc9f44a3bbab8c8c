"""Follows one chain while it runs: a point is judged as soon as the life behind it is over."""

from __future__ import annotations

from collections.abc import Iterator

from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Scenario
from resumable.launch.sweep.judge import PointJudge


class ChainFollower:
    """Judges the points of a chain in their order, up to the first that fails: what comes behind it proves nothing.

    Args:
        chain: Begun.
        folder: Its own.
        judge: Of the sweep.
    """

    def __init__(self, chain: Scenario, folder: ScenarioDir, judge: PointJudge) -> None:
        self.chain = chain
        self._folder = folder
        self._judge = judge
        self.num_judged = max(0, chain.first_incarnation - 1)
        """Links that need no verdict any more. Where a chain goes on as another did, the last link before is judged again,
        and nobody hears of it: that shows whether the life that goes on there does what the other's did."""
        self.is_broken = False
        """A point has failed, or that life."""
        self.is_stopped = False
        """Nobody lets it come to its end."""

    @property
    def failed(self) -> int | None:
        """Number of the link whose point has failed."""
        number = self.num_judged - 1
        return number if self.is_broken and number >= self.chain.first_incarnation else None

    @property
    def under_way(self) -> str:
        """Name of the point that the job is at, or of the last one."""
        return self.chain.links[min(self.num_judged, len(self.chain.links) - 1)].point

    def advance(self, *, has_ended: bool) -> Iterator[tuple[str, Verdict]]:
        """Judge what has not been judged and can be.

        Args:
            has_ended: There is nothing to wait for.

        Yields:
            Names of points, each with the verdict on it.
        """
        num_over = len(self.chain.links) if has_ended and not self.is_stopped else self._num_over()
        while self.num_judged < num_over and not self.is_broken:
            number = self.num_judged
            verdict = self._judge.judge_link(self.chain, number)
            self.num_judged += 1
            self.is_broken = verdict.outcome is not Outcome.VALID
            if number >= self.chain.first_incarnation:
                yield self.chain.links[number].point, verdict

    def _num_over(self) -> int:
        """Points behind which a whole life lies: one more has begun."""
        return self._folder.last_incarnation - 1
