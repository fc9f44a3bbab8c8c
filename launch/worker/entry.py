"""What runs in a rank: the watches are put in place, then the user's script runs as `__main__`."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import platform
import sys

import numpy as np
import torch

from launch.environment import RankEnvironment
from launch.plan import Scenario, Script
from launch.processes import die_with_parent
from launch.records import FORMAT_VERSION, Exit, Start
from launch.rundir import RunDir, ScenarioDir
from launch.worker.checkpoints import CheckpointWatch
from launch.worker.ending import keep_process_groups, leave_once_answered
from launch.worker.loaders import LoaderWatch
from launch.worker.position import Position, read_lineage
from launch.worker.recorder import Recorder
from launch.worker.rounding import keep_buckets
from launch.worker.script import hide_launcher, print_script_traceback, run_script
from launch.worker.training import TrainingWatch
from launch.worker.trigger import Trigger


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
    scenario = plan.scenario(scenario_dir.root.name)
    script = plan.script.in_directory(scenario_dir.work)
    keep_process_groups()
    recorder = Recorder(
        scenario_dir.event_file(incarnation=environment.incarnation, rank=environment.rank, pid=os.getpid())
    )
    training = _install(recorder, environment, scenario, scenario_dir)
    if plan.command == "verify":
        keep_buckets()
    _run_recorded(script, recorder, training)


def _install(
    recorder: Recorder, environment: RankEnvironment, scenario: Scenario, scenario_dir: ScenarioDir
) -> TrainingWatch:
    """Say who writes this evidence, then begin to watch."""
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
    earlier = [
        file
        for file in scenario_dir.event_files(rank=environment.rank) or scenario_dir.event_files(rank=0)
        if scenario_dir.incarnation_of(file) < environment.incarnation
    ]
    position = Position(read_lineage(earlier) if environment.incarnation > 0 else None)
    training = TrainingWatch(recorder, position)
    trigger = Trigger(
        recorder,
        scenario.faults,
        rank=environment.rank,
        world_size=environment.world_size,
        incarnation=environment.incarnation,
        fired=scenario_dir.fired,
        position=position,
    )
    for observe in (training.observe, position.follow, trigger.observe):
        recorder.observe(observe)
    for watch in (LoaderWatch(recorder), CheckpointWatch(recorder), training):
        watch.install()
    return training


def _run_recorded(script: Script, recorder: Recorder, training: TrainingWatch) -> None:
    hide_launcher()
    try:
        run_script(script)
        recorder.emit(Exit, reason="finished", parameters=training.final_state())
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        message = error.code if isinstance(error.code, str) else ""
        recorder.emit(Exit, reason="system_exit", code=code, message=message, parameters=training.final_state())
        if code != 0:
            raise
    except BaseException as error:
        # Whatever ends the script is written down before it goes on its way.
        print_script_traceback(error)
        recorder.emit(Exit, reason="exception", code=1, message=f"{type(error).__name__}: {error}")
        raise
    finally:
        # A child of a fork server would leave without them.
        atexit._run_exitfuncs()
    leave_once_answered()


def _be_like_a_fresh_process() -> None:
    """Undo what a fork server leaves in its children and a new interpreter does not have."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True)  # type: ignore[union-attr]
    multiprocessing.current_process().name = "MainProcess"
    multiprocessing.set_start_method(None, force=True)
    np.random.seed()  # every forked rank would draw the same numbers
