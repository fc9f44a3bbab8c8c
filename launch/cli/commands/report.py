"""`resumable report`: stored evidence as files for people and machines."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from resumable.launch.cli.options import report_options
from resumable.launch.cli.verdicts import print_written
from resumable.launch.errors import UsageError
from resumable.launch.evidence.bundle import opened
from resumable.launch.evidence.recorded_runs import stored_plan
from resumable.launch.explain.outcome import exit_code
from resumable.launch.report.outputs import write_reports
from resumable.launch.report.reading import CaseEvidence, read_results


def report(arguments: argparse.Namespace, console: Console) -> int:
    """Write what was asked for; the exit code is the verdict's, as for the command that made the evidence."""
    wanted = report_options(arguments)
    if not wanted.is_any_wanted:
        raise UsageError(
            "report: nothing to write; name at least one of --html, --junit, --json, --markdown, --trace, --bundle\n"
            f"  resumable report {arguments.run_dir} --html report.html"
        )
    with opened(Path(arguments.run_dir)) as run_dir:
        results = read_results(run_dir)
        write_reports(wanted, results, CaseEvidence(stored_plan(run_dir), run_dir))
    print_written(wanted, results.outcome, console)
    return exit_code(results.outcome)
