"""`resumable record -- COMMAND`: any command that starts ranks, with the evidence of all of them kept."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from resumable.launch.errors import UsageError
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.recorded_runs import SCENARIO, record_plan
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Plan
from resumable.launch.run.foreign_command import NO_RANK, run_recorded
from resumable.launch.run.setup import create_run_dir
from resumable.launch.system.environment import Recording
from resumable.launch.system.interrupt import Interrupted, signals_raise
from resumable.launch.system.standard_streams import complain
from resumable.launch.system.wording import counted, shown


def record(arguments: argparse.Namespace, _console: Console) -> int:
    """Run the command; returns its own exit code, or 128 + N if signal N asked for its end."""
    run_dir = _run_dir(record_plan(arguments.recorded), arguments.run_dir)
    with signals_raise():
        try:
            code = run_recorded(arguments.recorded, Recording(run_dir=run_dir.root, keep=arguments.keep))
        except Interrupted as error:
            code = 128 + error.signum
    complain(_what_was_recorded(run_dir))
    return code


def _run_dir(plan: Plan, wanted: str | None) -> RunDir:
    """A new folder, or one that holds earlier attempts of what is only recorded."""
    if wanted is not None:
        there = RunDir(root=Path(wanted).absolute())
        if there.plan_file.exists():
            if there.read_plan().command != plan.command:
                raise UsageError(f"--run-dir {wanted}: holds a run that was more than recorded; name a new folder")
            return there
    return create_run_dir(plan, run_dir=wanted)


def _what_was_recorded(run_dir: RunDir) -> str:
    history = read_history(run_dir.scenario(SCENARIO))
    where = shown(run_dir.root)
    if not history.processes:
        return f"no rank was recorded in {where}: {NO_RANK}"
    ranks = counted(len({process.rank for process in history.processes}), "rank")
    return (
        f"recorded {ranks} in {counted(len(history.incarnations), 'incarnation')}\nlook at it: resumable check {where}"
    )
