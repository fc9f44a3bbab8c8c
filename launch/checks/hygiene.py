"""What is left after a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from resumable.launch.checks.check import Check
from resumable.launch.evidence.history import History
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.explain.check_result import CheckResult, Violation, failed, not_applicable, passed, unknown
from resumable.launch.explain.codes.ends import LogsMissing, ProcessesLeft
from resumable.launch.reading.evidence import Evidence
from resumable.launch.system.wording import counted

_TO_CONSOLE = (None, 0, "0", "")


def _hygiene(evidence: Evidence) -> CheckResult:
    histories = [run.history for run in evidence.runs]
    leftover = tuple(pid for history in histories for end in history.ends for pid in end.leftover_pids)
    if leftover:
        return failed([Violation(problem=ProcessesLeft(pids=leftover))])
    if evidence.is_foreign:
        return not_applicable("somebody else started the ranks, and keeps their logs")
    flags = evidence.plan.torchrun
    if flags.get("redirects") in _TO_CONSOLE and flags.get("tee") in _TO_CONSOLE:
        return passed("no process left; the ranks wrote to the console")
    missing = [log for history in histories for log in _missing_logs(history)]
    if missing:
        return unknown(LogsMissing(num=len(missing), first=missing[0]))
    num_logs = sum(len(history.logs) for history in histories)
    return passed(f"no process left, {counted(num_logs, 'log')} kept")


hygiene = Check(
    name="hygiene",
    claim="No process outlived the run, and the logs of every rank in every incarnation were kept.",
    run=_hygiene,
    needs_reference=False,
)


def _missing_logs(history: History) -> Iterator[str]:
    folder = ScenarioDir(root=Path(history.name))
    for round_ in history.rounds:
        for rank in round_.ranks:
            logs = folder.rank_logs(incarnation=round_.incarnation, rank=rank)
            if history.logs.isdisjoint(str(log.relative_to(folder.logs)) for log in logs):
                yield str(logs[-1])
