"""Without complete evidence nothing is proved."""

from __future__ import annotations

from resumable.launch.checks.check import Check
from resumable.launch.explain.check_result import CheckResult, Violation, passed, unknown
from resumable.launch.explain.codes.verdicts import EvidenceDamaged
from resumable.launch.reading.evidence import Evidence
from resumable.launch.system.wording import counted


def _evidence_whole(evidence: Evidence) -> CheckResult:
    problems = [EvidenceDamaged(path=d.path, line=d.line, what=d.what) for d in evidence.damage]
    if problems:
        return unknown(problems[0], [Violation(problem=problem) for problem in problems])
    histories = [run.history for run in evidence.runs]
    processes = [process for history in histories for process in history.processes]
    num_lines = sum(len(process.records) for process in processes)
    return passed(f"{counted(len(processes), 'file')}, {counted(num_lines, 'line')}")


evidence_whole = Check(
    name="evidence_whole",
    claim="Every process left a complete record of what it did.",
    run=_evidence_whole,
    needs_reference=False,
)
