"""`resumable run`: a torchrun whose restarts work, and which reports what ended the job."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from rich.console import Console

from resumable.launch.cli.options import job_options
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import ExitCode
from resumable.launch.plan.plan import Plan
from resumable.launch.plan.planner import make_plan
from resumable.launch.plan.torchrun_flags import signals_of
from resumable.launch.reading.evidence import gather
from resumable.launch.reading.failures import FaultEvent, fired_faults, first_cause
from resumable.launch.report.terminal import told_fault
from resumable.launch.run.setup import cluster_of, create_run_dir
from resumable.launch.run.supervisor import Supervisor, has_succeeded
from resumable.launch.system.environment import callers_error_file
from resumable.launch.system.interrupt import Interrupted, signals_raise
from resumable.launch.system.standard_streams import complain
from resumable.launch.system.wording import shown

_FAILED = 1
"""torchrun's, for a job of which no rank has an exit code."""


def run(arguments: argparse.Namespace, _console: Console) -> int:
    """Run the job to its end, restarts included.

    Returns:
        0 if it succeeded and every planned fault fired, 3 if one did not; 128 + N if signal N asked for its end; or else the
        exit code of the rank that failed first, as a shell gives it.
    """
    plan = make_plan(job_options(arguments))
    run_dir = create_run_dir(plan, run_dir=arguments.run_dir, log_dir=arguments.log_dir)
    [scenario] = plan.scenarios
    with signals_raise(*signals_of(plan.torchrun)):
        try:
            with cluster_of(plan, run_dir) as cluster:
                supervisor = Supervisor(plan, run_dir, cluster)
                try:
                    ended = supervisor.run(scenario)
                except Interrupted as error:
                    supervisor.interrupt(error.signum)
                    raise
        except Interrupted as error:
            _report(f"interrupted by {error}; all ranks are ended, evidence in {shown(run_dir.root)}")
            return 128 + error.signum
    if has_succeeded(ended):
        code = _report_faults(plan, run_dir)
    else:
        code = _report_failure(plan, run_dir, [answer.message for answer in ended])
    _report(f"evidence in {shown(run_dir.root)}")
    return code


def _report_faults(plan: Plan, run_dir: RunDir) -> int:
    """What was done to a job that ended well; it proves nothing about a fault that never came."""
    [scenario] = plan.scenarios
    if not scenario.faults:
        return ExitCode.VALID
    scenario_dir = run_dir.scenario(scenario.name)
    missing = [str(fault) for fault in scenario.faults if scenario_dir.fired_on_node(fault.number) is None]
    if missing:
        _report("the job succeeded, but a planned fault did not fire", *missing)
        return ExitCode.UNKNOWN
    job = gather(plan, scenario, [], read_history(scenario_dir)).faulted
    done = map(told_fault, fired_faults(job, scenario))
    _report("the job succeeded", *done, "whether it went on with the right batches, `resumable verify` tells")
    return ExitCode.VALID


def _report_failure(plan: Plan, run_dir: RunDir, messages: list[str]) -> int:
    """Name the rank that failed first in the last incarnation, not those that it dragged along; returns its exit code."""
    [scenario] = plan.scenarios
    history = read_history(run_dir.scenario(scenario.name))
    job = gather(plan, scenario, [], history).faulted
    death = first_cause(job, scenario)
    if death is None:
        _report("the job failed", *filter(None, messages))
        return _FAILED
    _report("the job failed", _about(death, run_dir))
    _hand_on(run_dir.scenario(scenario.name).error_file(incarnation=death.incarnation, rank=death.rank))
    return death.exit_code or _FAILED


def _hand_on(error_file: Path) -> None:
    """Give the caller the error of the rank that failed first, as torchrun does, where both have a file for it."""
    target = callers_error_file()
    if target is None or not error_file.exists():
        return
    try:
        shutil.copyfile(error_file, target)
    except OSError as error:
        _report(f"TORCHELASTIC_ERROR_FILE {target}: not written ({error.strerror})")


def _about(death: FaultEvent, run_dir: RunDir) -> str:
    kind = "by a planned fault" if death.is_planned else "first"
    log = f"\n  its log: {shown(run_dir.root / death.log)}" if death.log else ""
    return f"rank {death.rank} failed {kind} in incarnation {death.incarnation}: {death.what}{log}"


def _report(*sentences: str) -> None:
    complain("\n  ".join(sentences))
