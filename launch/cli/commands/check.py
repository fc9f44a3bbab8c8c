"""`resumable check`: the checks again, on stored evidence, without torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from resumable.launch.cli.commands.sweep import print_sweep
from resumable.launch.cli.commands.verify import print_verdict
from resumable.launch.errors import DamagedPlanError
from resumable.launch.evidence.bundle import opened
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome, exit_code, worst
from resumable.launch.judge.verdict import Verdict, write_verdict
from resumable.launch.plan.plan import Plan
from resumable.launch.run.setup import shown
from resumable.launch.sweep.review import review
from resumable.launch.sweep.summary import sweep_results
from resumable.launch.sweep.verdict_store import VerdictStore
from resumable.launch.system.standard_streams import complain


def check(arguments: argparse.Namespace, console: Console) -> int:
    """Judge every run directory; INVALID beats UNKNOWN beats VALID."""
    outcomes = []
    for root in arguments.run_dirs:
        try:
            with opened(Path(root)) as run_dir:
                outcomes.append(_check(run_dir, console, is_quiet=arguments.quiet))
        except DamagedPlanError as error:  # the others can still be judged
            complain(str(error))
            outcomes.append(Outcome.UNKNOWN)
    return exit_code(worst(outcomes))


def _check(run_dir: RunDir, console: Console, *, is_quiet: bool) -> Outcome:
    plan = run_dir.read_plan()
    judged = print_verdict if plan.sweep is None else _check_sweep
    return judged(plan, run_dir, console, is_quiet=is_quiet).outcome


def _check_sweep(plan: Plan, run_dir: RunDir, console: Console, *, is_quiet: bool) -> Verdict:
    """Judge every point that was run to its end, store the verdicts and print all of them together."""
    verdicts, store = review(plan, run_dir), VerdictStore(run_dir)
    is_ended = run_dir.verdict_file.exists() or (bool(plan.points) and len(verdicts) == len(plan.points))
    results = sweep_results(plan, verdicts, run_dir=shown(run_dir.name))
    verdict = print_sweep(plan, run_dir, results, console, is_quiet=is_quiet, is_ended=is_ended)
    try:
        for point in plan.points:
            if point.name in verdicts:
                store.enter(point, verdicts[point.name])
        if is_ended:
            write_verdict(verdict, run_dir)
    except OSError as error:
        complain(f"the verdicts were not stored: {error.strerror}")
    return verdict
