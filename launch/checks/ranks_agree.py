"""The ranks of one group must stand at the same place."""

from __future__ import annotations

from resumable.launch.checks.check import Check
from resumable.launch.explain.check_result import CheckResult, Violation, failed, not_applicable, passed
from resumable.launch.explain.codes.resume import EachRankRestores, RanksApart
from resumable.launch.explain.ranks_apart import places_apart, resumed_in
from resumable.launch.reading.evidence import Evidence
from resumable.launch.system.wording import counted


def _ranks_agree(evidence: Evidence) -> CheckResult:
    run = evidence.faulted
    groups = {number: resumed_in(run, number) for number in run.history.incarnations}
    groups = {number: lives for number, lives in groups.items() if lives}
    if not groups:
        return not_applicable("no rank trained after a restart")
    violations = [
        Violation(
            problem=RanksApart(incarnation=number, what=what, places=places),
            reason=EachRankRestores(),
            incarnation=number,
        )
        for number in groups
        for what, places in places_apart(run, number)
    ]
    if violations:
        return failed(violations)
    points = ", ".join(f"step {lives[0].common_step}" for lives in groups.values())
    return passed(f"{counted(len(groups), 'restart')}: all ranks went on from {points}")


ranks_agree = Check(
    name="ranks_agree",
    claim="After each restart all ranks go on from the same step in the same epoch.",
    run=_ranks_agree,
    needs_reference=False,
)
