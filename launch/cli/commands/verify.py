"""`resumable verify`: two references, the scenario with its faults, and the verdict."""

from __future__ import annotations

import argparse
import re

from rich.console import Console

from resumable.launch.cli.options import job_options, report_options
from resumable.launch.cli.verdicts import print_verdict, print_written
from resumable.launch.errors import UsageError
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.explain.outcome import ExitCode, Outcome
from resumable.launch.judge.verdict import judge
from resumable.launch.plan.command_plans import command_plan, with_faults
from resumable.launch.plan.options import JobOptions
from resumable.launch.plan.plan import Plan, Scenario
from resumable.launch.plan.planner import make_plan
from resumable.launch.report.outputs import write_reports
from resumable.launch.report.reading import CaseEvidence, read_results
from resumable.launch.run.foreign_command import NO_RANK, run_scenario
from resumable.launch.run.kept_references import KeptReferences
from resumable.launch.run.progress_line import ProgressLine
from resumable.launch.run.setup import cluster_of, create_run_dir
from resumable.launch.run.supervisor import Supervisor, has_succeeded
from resumable.launch.system.interrupt import Interrupted, signals_raise
from resumable.launch.system.safe_io import last_lines
from resumable.launch.system.standard_streams import complain
from resumable.launch.system.wording import shown

_COMPLAINT = "is not recorded: "
"""The recorder says so where something keeps it out of a process."""
_ERROR = re.compile(r"(\[rank\d+\]: )?[\w.]+(Error|Exception)\b")
"""The last line of a traceback. The first is the cause: launchers raise errors of their own when a process fails."""
_NUM_LOOKED_AT, _NUM_SAID = 1000, 3
"""Lines of what a command printed last; those of them that are shown."""


def verify(arguments: argparse.Namespace, console: Console) -> int:
    """Run every scenario of the plan and judge the last one."""
    options = job_options(arguments)
    is_foreign = options.script.is_command
    if is_foreign and arguments.reuse_reference:
        raise UsageError(
            "--reuse-reference: what a command starts is not known; it is for the scripts that verify starts itself"
        )
    plan = command_plan(options) if is_foreign else make_plan(options)
    run_dir = create_run_dir(plan, run_dir=arguments.run_dir, log_dir=arguments.log_dir)
    if not arguments.quiet:
        _print_beginning(plan, run_dir, console, is_default=not arguments.fault)
    with signals_raise():
        try:
            if is_foreign:
                plan = _carry_out_command(plan, options, run_dir, console, is_quiet=arguments.quiet)
            else:
                kept = KeptReferences.of_user() if arguments.reuse_reference else None
                _carry_out(plan, run_dir, console, is_quiet=arguments.quiet, kept=kept)
        except Interrupted as error:
            complain(
                f"interrupted by {error}; all ranks are ended, the evidence is kept\n"
                f"look at it: resumable check {shown(run_dir.root)}"
            )
            return ExitCode.UNKNOWN
    reports = report_options(arguments)
    has_page = reports.html is not None
    verdict = print_verdict(plan, run_dir, console, is_quiet=arguments.quiet, has_page=has_page)
    if reports.is_any_wanted:
        write_reports(reports, read_results(run_dir), CaseEvidence(plan, run_dir))
        if not arguments.quiet:
            print_written(reports, verdict.outcome, console)
    return verdict.exit_code


def _print_beginning(plan: Plan, run_dir: RunDir, console: Console, *, is_default: bool) -> None:
    console.print(f"evidence in {shown(run_dir.root)}", soft_wrap=True)
    if plan.script.is_command:
        console.print("the command starts the ranks; those of `resumable verify` itself are faster", soft_wrap=True)
        return
    faults = ", ".join(str(fault) for fault in plan.scenarios[-1].faults)
    console.print(f"faults: {faults}{' (choose with --fault)' if is_default else ''}", soft_wrap=True)


def _carry_out(plan: Plan, run_dir: RunDir, console: Console, *, is_quiet: bool, kept: KeptReferences | None) -> None:
    """Run the scenarios until a reference fails; an interrupted one is ended in order first."""
    with cluster_of(plan, run_dir) as cluster:
        supervisor = Supervisor(plan, run_dir, cluster)

        def carry_out(scenario: Scenario) -> bool:
            with ProgressLine(run_dir.scenario(scenario.name), scenario.name, console, is_quiet=is_quiet) as line:
                try:
                    return has_succeeded(supervisor.run(scenario, on_tick=line.tick))
                except Interrupted:
                    supervisor.interrupt()
                    raise

        def run_references() -> bool:
            return all(map(carry_out, plan.references))

        *_, faulted = plan.scenarios
        if kept is None:
            if run_references():
                carry_out(faulted)
            return
        provided = kept.provide(plan, run_dir, run_references)
        if provided.have_succeeded:
            carry_out(faulted)
        if provided.were_kept and judge(plan, run_dir).outcome is not Outcome.VALID:
            if not is_quiet:
                console.print("not VALID beside uninterrupted runs that were kept: new ones are made")
            kept.forget(plan, run_dir)
            is_fit = kept.provide(plan, run_dir, run_references).have_succeeded
            if is_fit and not provided.have_succeeded:
                carry_out(faulted)


def _carry_out_command(plan: Plan, options: JobOptions, run_dir: RunDir, console: Console, *, is_quiet: bool) -> Plan:
    """The same with ranks that the user's command starts; returns the plan with the faults that came of it.

    Raises:
        UsageError: no rank was recorded.
    """

    def carry_out(scenario: Scenario) -> int:
        with ProgressLine(run_dir.scenario(scenario.name), scenario.name, console, is_quiet=is_quiet) as line:
            return run_scenario(plan, scenario, run_dir, on_tick=line.tick)

    first, second = plan.references
    code = carry_out(first)
    scenario_dir = run_dir.scenario(first.name)
    ranks = read_history(scenario_dir).processes
    if not ranks:
        raise UsageError(f"{plan.script.path}: {_why_nobody(code, scenario_dir)}")
    plan = with_faults(plan, options, world_size=ranks[0].start.world_size)
    run_dir.write_plan(plan)
    if code == 0 and carry_out(second) == 0:
        carry_out(plan.scenarios[-1])
    return plan


def _why_nobody(code: int, scenario_dir: ScenarioDir) -> str:
    """Why no rank of a command was recorded: what the recorder said, the first errors, or what came last."""
    log = scenario_dir.command_log(0)
    lines = last_lines(log, _NUM_LOOKED_AT, within=scenario_dir.root)
    said = [line for line in dict.fromkeys(lines) if _COMPLAINT in line]
    said = said or [line for line in dict.fromkeys(lines) if _ERROR.match(line)][:_NUM_SAID] or lines[-_NUM_SAID:]
    where = f"ended well, and no rank was recorded: {NO_RANK}"
    if code != 0:
        where = f"ended with exit code {code} before any rank trained; it runs in a folder of its own, so name files in full"
    return "\n  ".join([where, *said, f"its log: {shown(log)}"])
