"""A sweep from Python: the points run as from the command line, and come back as one verdict."""

from __future__ import annotations

import io
from functools import partial

from rich.console import Console

from resumable.launch.api.verdict import WIDTH, Verdict
from resumable.launch.cli.commands.sweep import cluster_of_job, num_jobs_of
from resumable.launch.cli.verdicts import print_sweep
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge.causes import causes_of
from resumable.launch.judge.verdict import write_verdict
from resumable.launch.plan.plan import Plan
from resumable.launch.sweep.display import SweepDisplay
from resumable.launch.sweep.limit import Limit
from resumable.launch.sweep.runner import SweepRunner
from resumable.launch.sweep.summary import sweep_results
from resumable.launch.sweep.verdict_store import VerdictStore
from resumable.launch.system.wording import shown


def swept_verdict(plan: Plan, run_dir: RunDir, *, until: float) -> Verdict:
    """Run every point of a stored plan, and judge all of them together.

    Args:
        plan: Of a sweep, without its points.
        run_dir: Holds the plan; gets everything else.
        until: Time on the monotonic clock after which no point is begun.
    """
    with SweepDisplay(Console(file=io.StringIO()), is_quiet=True) as display:
        clusters = partial(cluster_of_job, plan, run_dir)
        SweepRunner(plan, run_dir, clusters, display, num_jobs=num_jobs_of(None, plan), limit=Limit(until)).run()
    plan = run_dir.read_plan()
    results = sweep_results(plan, VerdictStore(run_dir).found(plan.points), run_dir=shown(run_dir.root))
    output = io.StringIO()
    console = Console(file=output, width=WIDTH, no_color=True, force_terminal=False)
    verdict = print_sweep(plan, run_dir, results, console, is_quiet=False, is_ended=True)
    write_verdict(verdict, run_dir)
    failed = next((cause.cases[0].repeat for cause in causes_of(results)), "")
    return Verdict.with_text(verdict, run_dir, explanation=output.getvalue(), repeat=failed)
