"""What commands print of a verdict, fresh or of stored evidence."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.results import Results
from resumable.launch.judge.verdict import Verdict, judge, write_verdict
from resumable.launch.plan.plan import Plan
from resumable.launch.report.outputs import STDOUT, ReportOptions
from resumable.launch.report.terminal import print_what_to_type, render
from resumable.launch.sweep.judge import PointJudge
from resumable.launch.sweep.marks import OUTCOMES
from resumable.launch.sweep.summary import last_line, render_sweep, sweep_verdict
from resumable.launch.system.standard_streams import complain
from resumable.launch.system.text_safety import printable
from resumable.launch.system.wording import shown


def print_verdict(plan: Plan, run_dir: RunDir, console: Console, *, is_quiet: bool, has_page: bool) -> Verdict:
    """Judge the evidence, store the verdict and print it."""
    return show_verdict(judge(plan, run_dir), plan, run_dir, console, is_quiet=is_quiet, has_page=has_page)


def show_verdict(
    verdict: Verdict,
    plan: Plan,
    run_dir: RunDir,
    console: Console,
    *,
    is_quiet: bool,
    is_over: bool = True,
    has_page: bool = False,
) -> Verdict:
    """Store a verdict and print it; of a run that may go on it is printed only."""
    try:
        if is_over:
            write_verdict(verdict, run_dir)
    except OSError as error:
        complain(f"the verdict was not stored: {error.strerror}")
    if is_quiet:
        print(_one_line(verdict, run_dir))
    else:
        render(verdict, plan, run_dir, console)
        print_what_to_type(verdict, shown(run_dir.name), console, has_page=has_page)
        if not is_over:
            text = f"not over, or broken off; while it runs: resumable watch {shown(run_dir.name)}"
            console.print(text, highlight=False, soft_wrap=True)
    return verdict


def print_sweep(
    plan: Plan,
    run_dir: RunDir,
    results: Results,
    console: Console,
    *,
    is_quiet: bool,
    is_ended: bool,
    has_page: bool = False,
) -> Verdict:
    """Print the verdict on a sweep, and return it.

    Args:
        plan: Of the sweep.
        run_dir: Where it lies.
        results: Of its points.
        console: Where to print.
        is_quiet: One line only.
        is_ended: It was not interrupted.
        has_page: A page of it is asked for too.
    """
    problem = None if plan.points else PointJudge.of(plan, run_dir).yardstick.problem
    verdict = sweep_verdict(results, is_ended=is_ended, problem=problem)
    line = last_line(verdict, plan, results)
    if is_quiet:
        print(printable(f"{line} ({results.run_dir})"))
    else:
        render_sweep(plan, results, console)
        console.print(Text(printable(line), style=OUTCOMES[verdict.outcome].style), soft_wrap=True)
        print_what_to_type(verdict, results.run_dir, console, has_page=has_page)
    return verdict


def print_written(wanted: ReportOptions, outcome: Outcome, console: Console) -> None:
    """Name the files that were asked for, and what they say; nothing is added to one on the standard output."""
    if wanted.targets and STDOUT not in wanted.targets:
        console.print(
            printable(f"written: {', '.join(wanted.targets)} ({outcome.upper()})"), markup=False, soft_wrap=True
        )


def _one_line(verdict: Verdict, run_dir: RunDir) -> str:
    reason = f": {verdict.reason}" if verdict.reason else ""
    return printable(f"{verdict.outcome.upper()} {shown(run_dir.name)}{reason}")
