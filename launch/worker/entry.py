"""What runs in a rank: the watches are put in place, then the user's script runs as `__main__`."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from launch.environment import RankEnvironment
from launch.plan import Plan, Script
from launch.processes import die_with_parent
from launch.records import FORMAT_VERSION, Exit, Start
from launch.rundir import RunDir, ScenarioDir
from launch.worker.checkpoints import CheckpointWatch
from launch.worker.ending import die_of, keep_process_groups, leave_once_answered
from launch.worker.inputs import InputWatch
from launch.worker.loaders import LoaderWatch
from launch.worker.outer import OuterWatch
from launch.worker.position import Lineage, Position, read_earlier
from launch.worker.recorder import Recorder
from launch.worker.rounding import keep_buckets
from launch.worker.script import hide_launcher, print_script_traceback, run_script
from launch.worker.stacks import dump_stacks_on_request
from launch.worker.training import TrainingWatch
from launch.worker.trigger import Trigger

FinalState = Callable[[], str | None]


def run_rank() -> None:
    """Run the planned script in this process, watched.

    Raises:
        SystemExit: the script ended with a code that is not 0.
        Exception: whatever ended the script.
    """
    die_with_parent()
    _be_like_a_fresh_process()
    environment = RankEnvironment.read()
    run_dir = RunDir(root=environment.scenario_dir.parent)
    plan = run_dir.read_plan()
    scenario_dir = ScenarioDir(root=environment.scenario_dir)
    script = plan.script.in_directory(scenario_dir.work)
    keep_process_groups()
    recorder = Recorder(
        scenario_dir.event_file(incarnation=environment.incarnation, rank=environment.rank, pid=os.getpid())
    )
    _introduce(recorder, environment)
    if plan.hang_timeout_s is not None:
        dump_stacks_on_request(scenario_dir.stacks_file(incarnation=environment.incarnation, rank=environment.rank))
    final_state: FinalState = _nothing
    if plan.recording == "full":
        final_state = _watch(recorder, environment, plan, scenario_dir).final_state
    if plan.command != "run":
        keep_buckets()
    _run_recorded(script, recorder, final_state)


def _introduce(recorder: Recorder, environment: RankEnvironment) -> None:
    """Say who writes this evidence."""
    recorder.emit(
        Start,
        format=FORMAT_VERSION,
        incarnation=environment.incarnation,
        rank=environment.rank,
        local_rank=environment.local_rank,
        world_size=environment.world_size,
        node=environment.node,
        pid=os.getpid(),
        python=platform.python_version(),
        torch=str(torch.__version__),
    )


def _watch(recorder: Recorder, environment: RankEnvironment, plan: Plan, scenario_dir: ScenarioDir) -> TrainingWatch:
    """Record from now on what the script does, and let the planned faults happen."""
    earlier = read_earlier(_earlier_files(environment, scenario_dir))
    lineage = Lineage(record for life in earlier for record in life)
    position = Position(lineage if environment.incarnation > 0 else None)
    training = TrainingWatch(recorder, position)
    loaders = LoaderWatch(recorder, digests_content=plan.content)
    trigger = Trigger(
        recorder,
        plan.scenario(scenario_dir.root.name).faults,
        environment=environment,
        scenario_dir=scenario_dir,
        position=position,
        earlier=earlier,
        loader_workers=loaders.worker_pids,
    )
    inputs = InputWatch(recorder)
    for observe in (inputs.observe, training.observe, position.follow, trigger.observe):
        recorder.observe(observe)
    for watch in (loaders, OuterWatch(loaders), inputs, CheckpointWatch(recorder, trigger), training):
        watch.install()
    return training


def _earlier_files(environment: RankEnvironment, scenario_dir: ScenarioDir) -> list[Path]:
    """Evidence of this rank's earlier incarnations; of rank 0's, for those in which there was no such rank."""
    files = {
        scenario_dir.incarnation_of(file): file
        for rank in (0, environment.rank)
        for file in scenario_dir.event_files(rank=rank)
    }
    return [file for incarnation, file in sorted(files.items()) if incarnation < environment.incarnation]


def _run_recorded(script: Script, recorder: Recorder, final_state: FinalState) -> None:
    hide_launcher()
    is_interrupted = False
    try:
        run_script(script)
        recorder.emit(Exit, reason="finished", parameters=final_state())
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        message = error.code if isinstance(error.code, str) else ""
        recorder.emit(Exit, reason="system_exit", code=code, message=message, parameters=final_state())
        if code != 0:
            raise
    except KeyboardInterrupt as error:
        # Ends the process below: torch would swallow it, and take a rank that was interrupted for one that is done.
        print_script_traceback(error)
        recorder.emit(Exit, reason="exception", code=1, message="KeyboardInterrupt")
        is_interrupted = True
    except BaseException as error:
        # Whatever ends the script is written down before it goes on its way.
        print_script_traceback(error)
        recorder.emit(Exit, reason="exception", code=1, message=f"{type(error).__name__}: {error}")
        raise
    finally:
        # A child of a fork server would leave without them.
        atexit._run_exitfuncs()
    if is_interrupted:
        die_of(signal.SIGINT)
    leave_once_answered()


def _nothing() -> None:
    """The final state that nobody recorded."""


def _be_like_a_fresh_process() -> None:
    """Undo what a fork server leaves in its children and a new interpreter does not have, wherever it was started."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True)  # type: ignore[union-attr]
    multiprocessing.current_process().name = "MainProcess"
    multiprocessing.set_start_method(None, force=True)
    np.random.seed()  # every forked rank would draw the same numbers
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell leaves that to what it starts in the background: the fault `sigint` would do nothing.
        signal.signal(signal.SIGINT, signal.default_int_handler)
