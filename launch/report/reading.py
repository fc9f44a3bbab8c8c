"""Reads the results of a run directory: its evidence is judged, whatever verdict lies there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from itertools import islice
from pathlib import Path

import msgspec

from resumable.launch.evidence.node_records import NodeEnded, RoundStarted, decode_node_line
from resumable.launch.evidence.rank_records import Start, decode_line
from resumable.launch.evidence.recorded_runs import stored_plan
from resumable.launch.evidence.recorded_text import RecordedText, texts_in
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.explain.codes.verdicts import NotJudged
from resumable.launch.judge.results import Results, Span, Tools, own_tools, results_of, spans_of
from resumable.launch.judge.verdict import Verdict, judge_evidence, read_evidence, undecided
from resumable.launch.plan.plan import Plan, Scenario, on_plain_processes
from resumable.launch.reading.evidence import Evidence
from resumable.launch.report.log_tails import LogTail, log_tails
from resumable.launch.sweep.judge import PointJudge
from resumable.launch.sweep.review import Review, review


def read_results(run_dir: RunDir) -> Results:
    """The results of one command, from its run directory.

    All is judged again, as by `resumable check`. A point of a sweep that has no verdict was left out on purpose if the sweep
    came to its end, and is UNKNOWN if it was interrupted.

    Raises:
        EvidenceError: `run_dir` is no run directory, a different version wrote it, or its plan is damaged.
    """
    plan = stored_plan(run_dir)
    spans: dict[str, tuple[Span, ...]] = {}
    if plan.sweep is None:
        evidence = read_evidence(plan, run_dir)
        judged = [(evidence.scenario, judge_evidence(evidence))]
        spans[evidence.scenario.name] = spans_of(evidence.faulted)
    else:
        judged = list(_of_sweep(plan, run_dir))
    return results_from(plan, judged, run_dir, spans)


def results_from(
    plan: Plan,
    judged: Iterable[tuple[Scenario, Verdict]],
    run_dir: RunDir,
    spans: Mapping[str, tuple[Span, ...]] | None = None,
) -> Results:
    """Verdicts with what a run directory says of them all: versions, when, and how long each took.

    Args:
        plan: Of the command.
        judged: Each scenario with its verdict, in the order in which cases are shown.
        run_dir: Its folder.
        spans: As `results_of` takes them.
    """
    scenarios = (*plan.scenarios, *map(on_plain_processes, plan.points))
    folders = [run_dir.scenario(scenario.name) for scenario in scenarios]
    periods = {folder.root.name: period for folder in folders if (period := _period(folder)) is not None}
    begins_unix = [period.begin_unix for period in periods.values() if period.begin_unix is not None]
    ends_unix = [period.end_unix for period in periods.values() if period.end_unix is not None]
    return results_of(
        plan,
        judged,
        run_dir=str(run_dir.name),
        tools=_tools(folders),
        times_s={name: period.time_s for name, period in periods.items() if period.time_s is not None},
        spans=spans,
        started=_iso(min(begins_unix, default=None)),
        finished=_iso(max(ends_unix, default=None)),
    )


def _of_sweep(plan: Plan, run_dir: RunDir) -> Iterator[tuple[Scenario, Verdict]]:
    verdicts = review(plan, run_dir)
    for point in plan.points:
        if point.name in verdicts:
            yield point, verdicts[point.name]
        elif not run_dir.verdict_file.exists():
            yield point, _not_judged(point)


def _not_judged(point: Scenario) -> Verdict:
    return undecided(point.name, NotJudged())


class CaseEvidence:
    """The evidence of each case of a run directory, read when it is asked for; what cases share is read once.

    Args:
        plan: Of the command.
        run_dir: Its folder.
    """

    def __init__(self, plan: Plan, run_dir: RunDir) -> None:
        self.run_dir = run_dir
        self._scenarios = {scenario.name: scenario for scenario in plan.points or plan.scenarios[-1:]}
        self._whole = cache(partial(read_evidence, plan, run_dir))
        self._review = cache(lambda: Review(plan, run_dir, PointJudge.of(plan, run_dir)))
        self._is_sweep = plan.sweep is not None

    def find(self, scenario: str) -> Evidence | None:
        """All that there is on a case, by the name of its scenario; None if it was not run."""
        if scenario not in self._scenarios or not self.run_dir.scenario(scenario).root.is_dir():
            return None
        return self._review().evidence(self._scenarios[scenario]) if self._is_sweep else self._whole()

    def log_tails(self, scenario: str) -> tuple[LogTail, ...]:
        """What its ranks printed last."""
        if scenario not in self._scenarios:
            return ()
        folder = self._review().folder(self._scenarios[scenario]) if self._is_sweep else scenario
        return log_tails(self.run_dir.scenario(folder))


class _Period(msgspec.Struct, frozen=True, kw_only=True):
    """When a scenario was run."""

    begin_unix: float | None
    """By the clock of the node that began first."""
    time_s: float | None
    """To the last end, both on this machine's monotonic clock; None if none is known."""

    @property
    def end_unix(self) -> float | None:
        """Of the last node, by the first one's clock."""
        return None if self.begin_unix is None or self.time_s is None else self.begin_unix + self.time_s


def _period(folder: ScenarioDir) -> _Period | None:
    """From the first round to the last end; None if it never began."""
    begins: list[RoundStarted] = []
    ends: list[int] = []
    for line in _lines(texts_in(folder.nodes)):
        try:
            record = decode_node_line(line)
        except msgspec.DecodeError:
            continue  # the verdict has already counted it as damage
        if isinstance(record, RoundStarted):
            begins.append(record)
        if isinstance(record, NodeEnded):
            ends.append(record.time_ns)
    if not begins:
        return None
    first = min(begins, key=lambda begin: begin.time_ns)
    return _Period(begin_unix=first.time_unix, time_s=(max(ends) - first.time_ns) / 1e9 if ends else None)


def _iso(time_unix: float | None) -> str | None:
    """ISO 8601, in UTC; None for what nobody knows, or what no clock shows: evidence may be a stranger's."""
    with contextlib.suppress(OverflowError, OSError, ValueError):
        return None if time_unix is None else datetime.fromtimestamp(time_unix, UTC).isoformat(timespec="seconds")
    return None


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
            yield from islice(RecordedText(file).lines(), num_lines)
        except OSError:
            continue
