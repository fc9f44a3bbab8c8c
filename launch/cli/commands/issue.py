"""`resumable issue`: a failure as the text of a bug report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from resumable.launch.errors import UsageError
from resumable.launch.evidence.bundle import opened
from resumable.launch.evidence.recorded_runs import stored_plan
from resumable.launch.explain.outcome import Outcome, exit_code
from resumable.launch.judge.causes import causes_of
from resumable.launch.judge.results import Case, Results
from resumable.launch.report.issue import issue as text_of
from resumable.launch.report.issue import script_file
from resumable.launch.report.reading import read_results
from resumable.launch.system.standard_streams import complain


def issue(arguments: argparse.Namespace, _console: Console) -> int:
    """Print the text; the exit code is the verdict's. What proves nothing accuses nobody: then there is no text."""
    with opened(Path(arguments.run_dir)) as run_dir:
        results = read_results(run_dir)
        case = _case(results, arguments.scenario)
        if case.verdict.outcome is not Outcome.INVALID:
            reason = f": {case.verdict.reason}" if case.verdict.reason else ""
            complain(f"{case.name} is {case.verdict.outcome.upper()}{reason}; there is nothing to report")
            return exit_code(case.verdict.outcome)
        plan = stored_plan(run_dir)
        sys.stdout.write(text_of(results, case, plan, folder=run_dir.root))
    if script_file(plan.script) is not None:
        complain(f"to be attached: {plan.script.path}")
    return exit_code(case.verdict.outcome)


def _case(results: Results, scenario: str | None) -> Case:
    """The one that is named, or else the first of the cause with the most cases."""
    if scenario is None:
        causes = causes_of(results)
        found = [*(cause.cases[0] for cause in causes), *results.cases]
    else:
        found = [case for case in results.cases if scenario in (case.scenario, case.name)]
    if not found:
        names = ", ".join(case.scenario for case in results.cases)
        raise UsageError(f"--scenario {scenario}: there is none; there are {names or 'no cases'}")
    return found[0]
