"""`resumable sweep`: every rank and step of a job, hit once each."""

from __future__ import annotations

import argparse
import os
import time
from functools import partial

from rich.console import Console

from resumable.launch.cli.continuation import alone_in, open_sweep
from resumable.launch.cli.options import job_options, report_options
from resumable.launch.cli.verdicts import print_sweep, print_written
from resumable.launch.cluster import Cluster
from resumable.launch.errors import UsageError
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import ExitCode
from resumable.launch.judge.verdict import write_verdict
from resumable.launch.plan.plan import Plan
from resumable.launch.report.outputs import write_reports
from resumable.launch.report.reading import CaseEvidence, results_from
from resumable.launch.run.setup import cluster_of
from resumable.launch.sweep.alike import NUM_MANY
from resumable.launch.sweep.cluster_pool import num_jobs_for
from resumable.launch.sweep.display import SweepDisplay, duration
from resumable.launch.sweep.limit import Limit
from resumable.launch.sweep.runner import SweepRunner
from resumable.launch.sweep.summary import sweep_results
from resumable.launch.sweep.verdict_store import VerdictStore
from resumable.launch.system.interrupt import Interrupted, signals_raise
from resumable.launch.system.standard_streams import complain
from resumable.launch.system.wording import shown


def sweep(arguments: argparse.Namespace, console: Console) -> int:
    """Run every point that has no verdict yet, and judge all of them together."""
    if arguments.jobs is not None and arguments.jobs < 1:
        raise UsageError(f"--jobs {arguments.jobs}: expected at least 1")
    begin = time.monotonic()
    until = float("inf") if arguments.budget is None else begin + arguments.budget
    limit = Limit(until, is_until_failure=arguments.until_failure)
    plan, run_dir = open_sweep(job_options(arguments), run_dir=arguments.run_dir, log_dir=arguments.log_dir)
    num_jobs = num_jobs_of(arguments.jobs, plan)
    store = VerdictStore(run_dir)
    num_before = len(store.found(plan.points))
    clusters = partial(cluster_of_job, plan, run_dir)
    if not arguments.quiet:
        console.print(f"evidence in {shown(run_dir.root)}", soft_wrap=True)
    with signals_raise(), alone_in(run_dir):
        run_dir.verdict_file.unlink(missing_ok=True)
        try:
            with SweepDisplay(console, is_quiet=arguments.quiet) as display:
                SweepRunner(
                    plan,
                    run_dir,
                    clusters,
                    display,
                    num_jobs=num_jobs,
                    limit=limit,
                    which_again=arguments.confirm,
                    num_many=float("inf") if arguments.all_failures else NUM_MANY,
                ).run()
        except Interrupted as error:
            complain(
                f"interrupted by {error}; all ranks are ended, every verdict is kept\n"
                f"go on: resumable sweep --run-dir {shown(run_dir.root)}"
            )
            return ExitCode.UNKNOWN
    plan = run_dir.read_plan()
    verdicts = store.found(plan.points)
    if not arguments.quiet:
        _print_time(len(verdicts) - num_before, time.monotonic() - begin, console)
    results = sweep_results(plan, verdicts, run_dir=shown(run_dir.root))
    reports = report_options(arguments)
    has_page = reports.html is not None
    verdict = print_sweep(plan, run_dir, results, console, is_quiet=arguments.quiet, is_ended=True, has_page=has_page)
    write_verdict(verdict, run_dir)
    if reports.is_any_wanted:
        judged = [(point, verdicts[point.name]) for point in plan.points if point.name in verdicts]
        write_reports(reports, results_from(plan, judged, run_dir), CaseEvidence(plan, run_dir))
    if not arguments.quiet:
        print_written(reports, verdict.outcome, console)
    return verdict.exit_code


def cluster_of_job(plan: Plan, run_dir: RunDir, job: int) -> Cluster:
    """What its nodes print goes into a folder of its own."""
    return cluster_of(plan, run_dir, name=f"job-{job}")


def num_jobs_of(wanted: int | None, plan: Plan) -> int:
    """Runs at the same time: as many as are wanted, or as the cores allow.

    Raises:
        UsageError: the plan allows no more than one.
    """
    topology = plan.topology
    if topology.store_port:
        if wanted not in (None, 1):
            raise UsageError(
                f"--master-port {topology.store_port}: one port is for one run at a time, not --jobs {wanted}"
            )
        return 1
    num_ranks = topology.num_local_nodes * plan.max_nproc_per_node
    return wanted or num_jobs_for(num_cores=len(os.sched_getaffinity(0)), num_ranks=num_ranks)


def _print_time(num_points: int, elapsed_s: float, console: Console) -> None:
    if num_points:
        rate = f"{num_points / elapsed_s:.2f} a second"
        console.print(f"{num_points} points in {duration(elapsed_s)}, {rate}, the start included", highlight=False)
