"""`resumable check`: the checks again, on stored evidence, without torch."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from resumable.launch.cli.verdicts import print_sweep, show_verdict
from resumable.launch.errors import DamagedPlanError, UsageError
from resumable.launch.evidence.bundle import opened
from resumable.launch.evidence.recorded_runs import stored_plan
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.explain.outcome import Outcome, exit_code, worst
from resumable.launch.judge.verdict import Verdict, judge, judge_recorded, write_verdict
from resumable.launch.plan.plan import Plan
from resumable.launch.sweep.review import review
from resumable.launch.sweep.summary import sweep_results
from resumable.launch.sweep.verdict_store import VerdictStore
from resumable.launch.system.standard_streams import complain
from resumable.launch.system.wording import shown


def check(arguments: argparse.Namespace, console: Console) -> int:
    """Judge every run directory; INVALID beats UNKNOWN beats VALID. All that were only recorded are one job."""
    outcomes = []
    recorded: list[tuple[RunDir, Plan]] = []
    with contextlib.ExitStack() as bundles:
        places: set[Path] = set()
        for root in map(Path, arguments.run_dirs):
            try:
                run_dir = bundles.enter_context(opened(root))
                plan = stored_plan(run_dir)
                if root.resolve() in places:  # named twice
                    continue
                places.add(root.resolve())
                if plan.command == "record":
                    recorded.append((run_dir, plan))
                else:
                    outcomes.append(_check(run_dir, plan, console, is_quiet=arguments.quiet))
            except DamagedPlanError as error:  # the others can still be judged
                complain(str(error))
                outcomes.append(Outcome.UNKNOWN)
        if recorded:
            outcomes.append(_check_recorded(recorded, arguments.against, console, is_quiet=arguments.quiet))
    if arguments.against is not None and not recorded:
        raise UsageError(
            f"--against {arguments.against}: none of these was only recorded; they have references of their own"
        )
    return exit_code(worst(outcomes))


def _check(run_dir: RunDir, plan: Plan, console: Console, *, is_quiet: bool) -> Outcome:
    if plan.sweep is not None:
        return _check_sweep(plan, run_dir, console, is_quiet=is_quiet).outcome
    verdict = judge(plan, run_dir)
    is_over = verdict.outcome is not Outcome.UNKNOWN or run_dir.verdict_file.exists()
    return show_verdict(verdict, plan, run_dir, console, is_quiet=is_quiet, is_over=is_over).outcome


def _check_recorded(
    recorded: Sequence[tuple[RunDir, Plan]], against: str | None, console: Console, *, is_quiet: bool
) -> Outcome:
    run_dir, plan = recorded[0]
    references: list[ScenarioDir] = []
    if against is not None:
        undisturbed = RunDir(root=Path(against))
        known = stored_plan(undisturbed)
        scenarios = known.scenarios if known.command == "record" else known.references
        references = [undisturbed.scenario(scenario.name) for scenario in scenarios]
    verdict = judge_recorded(plan, [one for one, _ in recorded], references)
    return show_verdict(verdict, plan, run_dir, console, is_quiet=is_quiet).outcome


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
