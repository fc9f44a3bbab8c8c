"""Reads the results of a run directory back: stored verdicts, and what the evidence adds for a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from launch.checks.result import Outcome
from launch.evidence import gather
from launch.history import read_history
from launch.plan import Plan, Scenario
from launch.records import NodeEnded, RoundStarted, Start, decode_line, decode_node_line
from launch.results import Results, Span, Tools, own_tools, results_of, spans_of
from launch.rundir import RunDir, ScenarioDir
from launch.verdict import VERDICT_VERSION, Verdict, judge

_ONE_CASE = ("run", "verify", "python")
"""Commands that judge their last scenario; any other judges each that has faults."""


def read_results(run_dir: RunDir) -> Results:
    """The results of one command, from its run directory.

    The verdict of a `verify` that was not judged is made up for. A point of a sweep that has none was left out on purpose
    if the sweep came to its end, and is UNKNOWN if it was interrupted.

    Raises:
        EvidenceError: `run_dir` is no run directory, or another version wrote it.
    """
    plan = run_dir.read_plan()
    spans: dict[str, tuple[Span, ...]] = {}
    if plan.command in _ONE_CASE:
        scenario = plan.scenarios[-1]
        judged = [(scenario, _stored(run_dir.root) or judge(plan, run_dir))]
        spans[scenario.name] = _spans(plan, scenario, run_dir)
    else:
        judged = [(point, verdict) for point in plan.points if (verdict := _of_sweep(run_dir, point)) is not None]
    folders = [run_dir.scenario(scenario.name) for scenario in plan.scenarios]
    times = {folder.root.name: _time_s(folder) for folder in folders}
    return results_of(
        plan,
        judged,
        run_dir=str(run_dir.root),
        tools=_tools(folders),
        times_s={name: time_s for name, time_s in times.items() if time_s is not None},
        spans=spans,
    )


def _of_sweep(run_dir: RunDir, scenario: Scenario) -> Verdict | None:
    folder = RunDir(root=run_dir.scenario(scenario.name).root)
    if run_dir.verdict_file.exists() and not folder.verdict_file.exists():
        return None
    return _stored(folder.root) or Verdict(
        outcome=Outcome.UNKNOWN,
        reason="the scenario was not judged: the sweep ended before it",
        scenario=scenario.name,
        incarnations=(),
        deaths=(),
        checks=(),
    )


def _stored(folder: Path) -> Verdict | None:
    """The verdict in a folder; None if there is none that this version can read."""
    try:
        verdict = msgspec.json.decode(RunDir(root=folder).verdict_file.read_bytes(), type=Verdict)
    except (OSError, msgspec.DecodeError):
        return None
    return verdict if verdict.version == VERDICT_VERSION else None


def _spans(plan: Plan, scenario: Scenario, run_dir: RunDir) -> tuple[Span, ...]:
    references = [] if plan.command == "run" else plan.references[:1]
    histories = [read_history(run_dir.scenario(reference.name)) for reference in references]
    return spans_of(gather(plan, scenario, histories, read_history(run_dir.scenario(scenario.name))).faulted)


def _time_s(folder: ScenarioDir) -> float | None:
    """Seconds from the first round to the last end, both on this machine's monotonic clock; None if it never ended."""
    begins: list[int] = []
    ends: list[int] = []
    for line in _lines(sorted(folder.nodes.glob("*.jsonl"))):
        try:
            record = decode_node_line(line)
        except msgspec.DecodeError:
            continue  # the verdict has already counted it as damage
        if isinstance(record, RoundStarted):
            begins.append(record.time_ns)
        if isinstance(record, NodeEnded):
            ends.append(record.time_ns)
    return (max(ends) - min(begins)) / 1e9 if begins and ends else None


def _tools(folders: Iterable[ScenarioDir]) -> Tools:
    """The versions that the first readable rank wrote down."""
    files = [file for folder in folders for file in folder.event_files()[:1]]
    for line in _lines(files, num_lines=1):
        try:
            start = decode_line(line)
        except msgspec.DecodeError:
            continue
        if isinstance(start, Start):
            return own_tools(python=start.python, torch=start.torch)
    return own_tools()


def _lines(files: Sequence[Path], *, num_lines: int | None = None) -> Iterable[bytes]:
    for file in files:
        try:
            yield from file.read_bytes().splitlines()[:num_lines]
        except OSError:
            continue
