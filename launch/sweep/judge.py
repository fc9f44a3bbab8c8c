"""Judges the points of a sweep one by one; what they have in common is read once."""

from __future__ import annotations

from typing import Self

import msgspec

from resumable.launch.checks.reference import reference
from resumable.launch.evidence.history import History
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.check_result import CheckResult
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
    def repeats(self) -> bool:
        """Whether the references have the same numbers too, to the last bit."""
        return self._evidence.numbers_repeat

    @property
    def length(self) -> TrainingLength:
        """What the references have shown of the job."""
        return training_length_of(self._evidence.references[0])

    def judge(self, scenario: Scenario) -> Verdict:
        """The verdict on one scenario that has been run; of a chain, on its last point."""
        if scenario.links:
            return self.judge_link(scenario, len(scenario.links) - 1)
        return judge_evidence(self.evidence(scenario))

    def judge_link(self, chain: Scenario, number: int) -> Verdict:
        """The verdict on one point of a chain, from its beginning up to the end of the life that follows the point.

        Of what is shown, the lives before the point's own are left out.
        """
        verdict = judge_evidence(self.evidence_of_link(chain, number))
        return msgspec.structs.replace(
            verdict,
            chain=chain.name,
            until=chain.links[number].until,
            incarnations=tuple(one for one in verdict.incarnations if one.number >= number),
            fired_faults=tuple(one for one in verdict.fired_faults if one.incarnation == number),
        )

    def evidence(self, scenario: Scenario) -> Evidence:
        """What there is on one scenario that has been run."""
        return self._with(scenario, read_history(self._run_dir.scenario(scenario.name)), is_cut=False)

    def evidence_of_link(self, chain: Scenario, number: int) -> Evidence:
        """The same on one point of a chain, whose links are as many as its restarts: link and life have one number."""
        folder = self._run_dir.scenario(chain.name)
        is_cut = chain.links[number].until is not None and folder.last_incarnation > number + 1
        history = read_history(folder, until=number + 1 if is_cut else None)
        return self._with(chain.until_link(number), history, is_cut=is_cut)

    def _with(self, scenario: Scenario, history: History, *, is_cut: bool) -> Evidence:
        evidence = self._evidence
        history = msgspec.structs.replace(history, recorded_as=scenario.works_in if scenario.begins else "")
        run = assemble(history, evidence.profile, evidence.expected)
        return msgspec.structs.replace(evidence, scenario=scenario, faulted=run, is_cut=is_cut)
