"""A verdict for a person at a terminal, readable at 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.check_result import CheckResult, Violation
from resumable.launch.explain.codes.references import ReferenceFailed
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Plan
from resumable.launch.reading.failures import FaultEvent
from resumable.launch.report.batches import marked_difference, shortened
from resumable.launch.sweep.marks import mark_of
from resumable.launch.system.console import drawing_width, print_indented
from resumable.launch.system.safe_io import last_lines
from resumable.launch.system.text_safety import printable
from resumable.launch.system.wording import counted, place

MAX_VIOLATIONS = 3
"""Violations of one check that are shown in full."""
MAX_LOG_LINES = 12
"""Of the log of a rank that failed by itself."""


def render(verdict: Verdict, plan: Plan, run_dir: RunDir, console: Console) -> None:
    """Print a verdict: what ran, which faults came, what each check found, the first differences, and how to look again."""
    own_failure = _own_failure(verdict)
    if own_failure is not None:
        _print_own_failure(own_failure, run_dir, console)
    else:
        _print_findings(verdict, plan, console)
    console.print()
    console.print(_last_line(verdict), highlight=False)
    print_what_to_type(verdict, str(run_dir.name), console)


def print_what_to_type(verdict: Verdict, name: str, console: Console) -> None:
    """How to look at a run again, and closer if something is wrong.

    Args:
        verdict: On it.
        name: Its run directory, or its bundle, as the user would type it.
        console: Where to print.
    """
    console.print(f"look again: resumable check {name}", highlight=False, soft_wrap=True)
    if verdict.outcome is Outcome.INVALID:
        console.print(f"on a page:  resumable report {name} --html report.html", highlight=False, soft_wrap=True)


def _own_failure(verdict: Verdict) -> ReferenceFailed | None:
    """What a job died of before anything was done to it; no check has more to say."""
    problem = None if verdict.cause is None else verdict.cause.problem
    return problem if isinstance(problem, ReferenceFailed) and not verdict.fired_faults else None


def _print_own_failure(failure: ReferenceFailed, run_dir: RunDir, console: Console) -> None:
    """The job's own error, as its log has it."""
    log = run_dir.root / failure.log
    console.print("The job failed by itself, before anything was done to it.", highlight=False)
    lines = last_lines(log, MAX_LOG_LINES, within=run_dir.root)
    if lines:
        console.print(f"\nthe end of {printable(failure.log)}:", highlight=False, markup=False, soft_wrap=True)
    for line in lines:
        console.print(f"    {printable(line)}", markup=False, highlight=False, soft_wrap=True)


def _print_findings(verdict: Verdict, plan: Plan, console: Console) -> None:
    console.print(_headline(verdict, plan), highlight=False)
    for event in verdict.fired_faults:
        print_indented(console, Text(printable(told_fault(event))), indent=2)
    console.print()
    _print_checks(verdict, console)
    for report in verdict.checks:
        if report.result.violations:
            _print_violations(report.name, report.result, console)


def _headline(verdict: Verdict, plan: Plan) -> Text:
    program = f"{plan.script.path} {' '.join(plan.script.arguments)}".strip()
    sizes = [incarnation.world_size for incarnation in verdict.incarnations]
    num_nodes = max((incarnation.num_nodes for incarnation in verdict.incarnations), default=0)
    ranks = counted(sizes[0], "rank") if len(set(sizes)) == 1 else " then ".join(map(str, sizes)) + " ranks"
    lives = counted(len(sizes), "incarnation")
    figures = f"{ranks if sizes else 'no rank'}, {counted(num_nodes, 'node')}, {lives}"
    return Text(printable(f"{verdict.scenario}: {figures}\n{program}"))


def told_fault(event: FaultEvent) -> str:
    """What was done, to whom, where in training, and how long it took until training went on."""
    where = f"rank {event.rank} of incarnation {event.incarnation}, {counted(event.step, 'step')} done"
    if event.epoch is not None:
        where += f", at batch {event.batch} of epoch {event.epoch}"
    again = "" if event.restart_s is None else f"; next batch after {event.restart_s:.2f} s"
    return f"{event.what}: {where}{again}"


def _print_checks(verdict: Verdict, console: Console) -> None:
    name_width = max((len(report.name) for report in verdict.checks), default=0)
    word_width = max(len(mark_of(report.result.outcome).word) for report in verdict.checks) if verdict.checks else 0
    for report in verdict.checks:
        mark = mark_of(report.result.outcome)
        head = Text(f"{report.name:<{name_width}}  ").append(mark.word, style=mark.style)
        print_indented(console, Text(printable(report.result.summary)), head=head, indent=name_width + word_width + 4)


def _print_violations(name: str, result: CheckResult, console: Console) -> None:
    console.print()
    console.print(Text(name, style=mark_of(result.outcome).style))
    explained = ""
    for violation in result.violations[:MAX_VIOLATIONS]:
        print_indented(console, Text(printable(violation.sentence)), indent=2)
        if violation.explanation != explained:
            explained = violation.explanation
            print_indented(console, Text(printable(explained)), indent=4)
        for line in _details(violation, drawing_width(console) - 4):
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
