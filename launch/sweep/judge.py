"""Judges the points of a sweep one by one; what they have in common is read once."""

from __future__ import annotations

from typing import Self

import msgspec

from resumable.launch.checks.reference import reference
from resumable.launch.evidence.history import read_history
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.result import CheckResult
from resumable.launch.judge.verdict import Verdict, judge_evidence
from resumable.launch.plan.plan import Plan, Scenario
from resumable.launch.reading.evidence import Evidence, gather
from resumable.launch.reading.timeline import assemble
from resumable.launch.sweep.training_length import TrainingLength, training_length_of


class PointJudge:
    """Compares points with the references of their sweep.

    Args:
        evidence: The first reference, judged by both.
        run_dir: Of the sweep.
    """

    def __init__(self, evidence: Evidence, run_dir: RunDir) -> None:
        self._evidence = evidence
        self._run_dir = run_dir

    @classmethod
    def of(cls, plan: Plan, run_dir: RunDir) -> Self:
        """Read the references of a sweep that have been run."""
        references = [read_history(run_dir.scenario(scenario.name)) for scenario in plan.references]
        return cls(gather(plan, plan.references[0], references, references[0]), run_dir)

    @property
    def yardstick(self) -> CheckResult:
        """Whether the references are fit to be compared with."""
        return reference(self._evidence)

    @property
    def length(self) -> TrainingLength:
        """What the references have shown of the job."""
        return training_length_of(self._evidence.references[0])

    def judge(self, scenario: Scenario) -> Verdict:
        """The verdict on one point that has been run."""
        return judge_evidence(self.evidence(scenario))

    def evidence(self, scenario: Scenario) -> Evidence:
        """What there is on one point that has been run."""
        evidence, history = self._evidence, read_history(self._run_dir.scenario(scenario.name))
        run = assemble(history, evidence.profile, evidence.expected)
        return msgspec.structs.replace(evidence, scenario=scenario, faulted=run)
