"""What came of a job that a `Launcher` ran."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec

from resumable.launch.api.verdict import Verdict
from resumable.launch.errors import UsageError
from resumable.launch.evidence.function_call import read_value
from resumable.launch.evidence.history import History
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.node_records import NodeEnded
from resumable.launch.evidence.rank_records import Index
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge.verdict import judge_evidence
from resumable.launch.plan.plan import Plan
from resumable.launch.reading.evidence import Evidence, gather
from resumable.launch.reading.lives import Timeline
from resumable.launch.run.supervisor import has_succeeded


class RankResult(msgspec.Struct, frozen=True, kw_only=True):
    """One rank over all its incarnations."""

    rank: int
    value: object
    """What the function returned; None for a script, or where it did not end."""
    batches: tuple[tuple[Index, ...], ...]
    """The samples of every batch that went into the final state, in order: work that a restart threw away is not there."""
    num_steps: int
    """Optimizer steps that went into the final state."""
    num_incarnations: int
    """How often the rank was started."""
    output: str
    """What it printed, standard output and then standard error of each incarnation."""


class JobResult:
    """The evidence of one run of a job.

    Args:
        plan: What was to be done, one scenario.
        run_dir: Holds the evidence.
        ended: How each node ended the last start.
    """

    def __init__(self, plan: Plan, run_dir: RunDir, ended: Sequence[NodeEnded]) -> None:
        [self._scenario] = plan.scenarios
        self._plan = plan
        self.run_dir = run_dir
        """The run directory; `resumable report` and a text editor read it."""
        self.has_succeeded = has_succeeded(ended)
        """Whether every rank ended well, after all restarts."""

    @cached_property
    def history(self) -> History:
        """All that was recorded."""
        return read_history(self.run_dir.scenario(self._scenario.name))

    @property
    def num_ranks(self) -> int:
        """Ranks of the largest incarnation."""
        return max(self._evidence.faulted.world_sizes, default=0)

    def rank(self, number: int) -> RankResult:
        """What one rank did.

        Raises:
            UsageError: there was no such rank, or it recorded nothing.
        """
        run = self._evidence.faulted
        timeline = run.timeline(number)
        if timeline is None:
            raise UsageError(f"rank {number}: there are {[timeline.rank for timeline in run.timelines]}")
        return RankResult(
            rank=number,
            value=read_value(self.run_dir.scenario(self._scenario.name).root, number),
            batches=tuple(batch.indices for step in timeline.steps for batch in step.batches),
            num_steps=len(timeline.steps),
            num_incarnations=len(timeline.lives),
            output=self._output(timeline),
        )

    def check(self, against: JobResult | Sequence[JobResult]) -> Verdict:
        """Compare with uninterrupted runs of the same job.

        Args:
            against: One run, or better two: only two can show that the job repeats itself, and that a difference is not its
                own.

        Returns:
            The verdict of all checks: true if it is VALID; `verdict.outcome` and `verdict.reason` say what it is and why.
        """
        references = [against] if isinstance(against, JobResult) else list(against)
        histories = [
            msgspec.structs.replace(reference.history, name=f"reference-{number}", recorded_as=reference.history.name)
            for number, reference in enumerate(references, start=1)
        ]
        verdict = judge_evidence(gather(self._plan, self._scenario, histories, self.history))
        return Verdict.of(verdict, self._plan, self.run_dir)

    @cached_property
    def _evidence(self) -> Evidence:
        return gather(self._plan, self._scenario, [], self.history)

    def _output(self, timeline: Timeline) -> str:
        folder = self.run_dir.scenario(self._scenario.name)
        logs = (folder.rank_logs(incarnation=life.incarnation, rank=life.rank) for life in timeline.lives)
        files = [file for both in logs for file in both]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())
