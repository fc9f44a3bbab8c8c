"""A verdict for a person at a terminal, readable at 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.result import CheckResult, Violation
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Plan
from resumable.launch.reading.failures import FaultEvent
from resumable.launch.report.batches import marked_difference, shortened
from resumable.launch.sweep.marks import mark_of
from resumable.launch.system.text_safety import printable
from resumable.launch.system.wording import counted, place

MAX_VIOLATIONS = 3
"""Violations of one check that are shown in full."""


def render(verdict: Verdict, plan: Plan, run_dir: RunDir, console: Console) -> None:
    """Print a verdict: what ran, which faults came, what each check found, the first differences, and how to look again."""
    console.print(_headline(verdict, plan), highlight=False)
    for event in verdict.fired_faults:
        console.print(Padding(_fault(event), (0, 0, 0, 2)), highlight=False)
    console.print()
    console.print(_checks(verdict))
    for report in verdict.checks:
        if report.result.violations:
            _print_violations(report.name, report.result, console)
    console.print()
    console.print(_last_line(verdict), highlight=False)
    console.print(f"look again: resumable check {run_dir.root}", highlight=False, soft_wrap=True)


def _headline(verdict: Verdict, plan: Plan) -> Text:
    program = f"{plan.script.path} {' '.join(plan.script.arguments)}".strip()
    sizes = [incarnation.world_size for incarnation in verdict.incarnations]
    num_nodes = max((incarnation.num_nodes for incarnation in verdict.incarnations), default=0)
    ranks = counted(sizes[0], "rank") if len(set(sizes)) == 1 else " then ".join(map(str, sizes)) + " ranks"
    lives = counted(len(sizes), "incarnation")
    figures = f"{ranks if sizes else 'no rank'}, {counted(num_nodes, 'node')}, {lives}"
    return Text(printable(f"{verdict.scenario}: {figures}\n{program}"))


def _fault(event: FaultEvent) -> Text:
    where = f"rank {event.rank} of incarnation {event.incarnation}, {counted(event.step, 'step')} done"
    if event.epoch is not None:
        where += f", at batch {event.batch} of epoch {event.epoch}"
    again = "" if event.restart_s is None else f"; next batch after {event.restart_s:.2f} s"
    return Text(printable(f"{event.what}: {where}{again}"))


def _checks(verdict: Verdict) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for report in verdict.checks:
        mark = mark_of(report.result.outcome)
        table.add_row(report.name, Text(mark.word, style=mark.style), Text(printable(report.result.summary)))
    return table


def _print_violations(name: str, result: CheckResult, console: Console) -> None:
    console.print()
    console.print(Text(name, style=mark_of(result.outcome).style))
    explained = ""
    for violation in result.violations[:MAX_VIOLATIONS]:
        console.print(Padding(Text(printable(violation.sentence)), (0, 0, 0, 2)))
        if violation.explanation != explained:
            explained = violation.explanation
            console.print(Padding(Text(printable(explained)), (0, 0, 0, 4)))
        for line in _details(violation, console.width - 4):
            console.print(f"    {printable(line)}", markup=False, highlight=False, soft_wrap=True)
    hidden = len(result.violations) - MAX_VIOLATIONS
    if hidden > 0:
        console.print(f"  and {hidden} more in verdict.json", highlight=False)


def _details(violation: Violation, width: int) -> Iterator[str]:
    """The samples, and where the evidence stands; file names are never broken, so that they can be copied."""
    if violation.expected is not None and violation.found is not None:
        yield from marked_difference(violation.expected, violation.found, width)
    if violation.lost:
        yield f"lost {shortened(violation.lost)}"
    if violation.extra:
        yield f"duplicated or unexpected {shortened(violation.extra)}"
    if violation.file is not None:
        yield place(violation.file, violation.line)


def _last_line(verdict: Verdict) -> Text:
    word = str(verdict.outcome).upper()
    return Text(
        printable(f"{word}: {verdict.reason}" if verdict.reason else word), style=mark_of(verdict.outcome).style
    )
