"""Without whole evidence nothing is proved."""

from __future__ import annotations

from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.outcome import CheckResult, Violation, passed, unknown
from resumable.launch.system.wording import counted


def evidence_whole(evidence: Evidence) -> CheckResult:
    """Every process left a whole record of what it did."""
    if evidence.damage:
        violations = [Violation(sentence=str(damage)) for damage in evidence.damage]
        return unknown(f"{evidence.damage[0]}", violations)
    histories = [run.history for run in (*evidence.references, evidence.faulted)]
    processes = [process for history in histories for process in history.processes]
    num_lines = sum(len(process.records) for process in processes)
    return passed(f"{counted(len(processes), 'file')}, {counted(num_lines, 'line')}")
