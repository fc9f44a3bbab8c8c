"""`resumable run`: a torchrun whose restarts work."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from launch.execution import cluster_of, create_run_dir, shown
from launch.interrupt import Interrupted, signals_raise
from launch.plan import Plan
from launch.planner import make_plan
from launch.rundir import RunDir
from launch.supervisor import Supervisor, has_succeeded
from launch.verdict import judge


def run(arguments: argparse.Namespace, _console: Console) -> int:
    """Run the job to its end, restarts included."""
    plan = make_plan(arguments)
    run_dir = create_run_dir(arguments, plan)
    [scenario] = plan.scenarios
    with signals_raise():
        try:
            with cluster_of(plan, run_dir) as cluster:
                supervisor = Supervisor(plan, run_dir, cluster)
                try:
                    ended = supervisor.run(scenario)
                except Interrupted:
                    supervisor.interrupt()
                    raise
        except Interrupted as error:
            print(
                f"resumable: interrupted by {error}; all ranks are ended, evidence in {shown(run_dir.root)}",
                file=sys.stderr,
            )
            return 128 + error.signum
    return _tell_end(plan, run_dir, is_good=has_succeeded(ended))


def _tell_end(plan: Plan, run_dir: RunDir, *, is_good: bool) -> int:
    """The last words: where the evidence is and, if the job failed, which rank to look at."""
    if not is_good:
        [progress] = [report.result for report in judge(plan, run_dir).checks if report.name == "progress"]
        sentences = [violation.sentence for violation in progress.violations] or [progress.summary]
        print("\n  ".join(["resumable: the job failed", *sentences]), file=sys.stderr)
    print(f"resumable: evidence in {shown(run_dir.root)}", file=sys.stderr)
    return 0 if is_good else 1
