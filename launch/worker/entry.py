"""What runs in a rank: the watches are put in place, then the user's script runs as `__main__`."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch

from resumable.launch.evidence.rank_records import FORMAT_VERSION, Start
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.plan.plan import Plan, Script
from resumable.launch.system.descriptors import open_descriptors, put_back
from resumable.launch.system.dump_signal import dump_stacks_on_request
from resumable.launch.system.environment import RankEnvironment
from resumable.launch.system.offspring import die_with_parent
from resumable.launch.system.standard_streams import whole_again
from resumable.launch.worker.ddp_buckets import keep_buckets
from resumable.launch.worker.error_facts import message_of
from resumable.launch.worker.exit import (
    call_before_abrupt_exit,
    die_of,
    keep_process_groups,
    leave_once_answered,
)
from resumable.launch.worker.exit_recorder import ExitRecorder, FinalState
from resumable.launch.worker.faults.trigger import Trigger
from resumable.launch.worker.lineage import earlier_saves, read_earlier
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.position import Position
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.script import print_script_traceback, run_script
from resumable.launch.worker.torch_private import await_threads, run_exit_handlers
from resumable.launch.worker.watch.state import StateWatch
from resumable.launch.worker.watching import watch


def run_rank() -> None:
    """Run the planned script in this process, watched.

    Raises:
        SystemExit: the script ended with a code that is not 0.
        Exception: whatever ended the script.
    """
    die_with_parent()
    _be_like_a_fresh_process()
    with whole_again(sys.stdout, 1), whole_again(sys.stderr, 2), put_back(open_descriptors()):  # the agent needs them
        _run_planned()


def _run_planned() -> None:
    environment = RankEnvironment.read()
    run_dir = RunDir(root=environment.scenario_dir.parent)
    plan = run_dir.read_plan()
    scenario_dir = ScenarioDir(root=environment.scenario_dir)
    works_in = plan.scenario(scenario_dir.root.name).works_in
    script = plan.script.in_directory(run_dir.scenario(works_in).work)
    patches = Patches()  # as long as the process
    keep_process_groups(patches)
    recorder = Recorder(
        scenario_dir.event_file(incarnation=environment.incarnation, rank=environment.rank, pid=os.getpid())
    )
    _introduce(recorder, environment)
    if plan.hang_timeout_s is not None:
        dump_stacks_on_request(scenario_dir.stacks_file(incarnation=environment.incarnation, rank=environment.rank))
    final_state: FinalState = _nothing
    if plan.recording == "full":
        final_state = _watch(recorder, environment, plan, scenario_dir, patches).note_end
    if plan.command != "run":
        keep_buckets(patches)
    _run_recorded(script, recorder, final_state, patches)


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


def _watch(
    recorder: Recorder, environment: RankEnvironment, plan: Plan, scenario_dir: ScenarioDir, patches: Patches
) -> StateWatch:
    """Record from now on what the script does, and let the planned faults happen."""
    earlier = read_earlier(_earlier_files(environment, scenario_dir))
    saves = cache(lambda: earlier_saves(_saving_files(environment, scenario_dir)))
    position = Position(earlier if environment.incarnation > 0 else None, saves)

    def make_trigger(loader_workers: Callable[[], Sequence[int]]) -> Trigger:
        return Trigger(
            recorder,
            plan.scenario(scenario_dir.root.name).faults,
            environment=environment,
            scenario_dir=scenario_dir,
            position=position,
            earlier=earlier,
            loader_workers=loader_workers,
            folders=(scenario_dir.root, Path.cwd()),
        )

    return watch(
        recorder,
        position,
        make_trigger,
        patches,
        saved_keys=lambda: {frozenset(save.content) for save in saves()},
        digests_content=plan.content,
    )


def _earlier_files(environment: RankEnvironment, scenario_dir: ScenarioDir) -> list[Path]:
    """Evidence of this rank's earlier incarnations; of rank 0's, for those in which there was no such rank."""
    files = {
        scenario_dir.incarnation_of(file): file
        for rank in (0, environment.rank)
        for file in scenario_dir.event_files(rank=rank)
    }
    return [file for incarnation, file in sorted(files.items()) if incarnation < environment.incarnation]


def _saving_files(environment: RankEnvironment, scenario_dir: ScenarioDir) -> list[Path]:
    """Evidence of earlier incarnations of this rank, and of rank 0, which may save for all."""
    files = (file for rank in {0, environment.rank} for file in scenario_dir.event_files(rank=rank))
    return [file for file in files if scenario_dir.incarnation_of(file) < environment.incarnation]


def _run_recorded(script: Script, recorder: Recorder, final_state: FinalState, patches: Patches) -> None:
    exit_recorder = ExitRecorder(recorder, final_state)
    call_before_abrupt_exit(patches, exit_recorder.record_abrupt)
    is_interrupted = False
    try:
        run_script(script)
        await_threads()
        exit_recorder.record("finished")
    except SystemExit as error:
        await_threads()
        # The system keeps the last eight bits: exit(-1) leaves 255, exit(256) leaves 0.
        code = error.code & 0xFF if isinstance(error.code, int) else int(error.code is not None)
        message = error.code if isinstance(error.code, str) else ""
        exit_recorder.record("system_exit", code, message, error)
        if code != 0:
            raise
    except KeyboardInterrupt as error:
        # Ends the process below: torch would swallow it, and take a rank that was interrupted for one that is done.
        print_script_traceback(error)
        exit_recorder.record("exception", 128 + signal.SIGINT, "KeyboardInterrupt", error)
        is_interrupted = True
    except BaseException as error:
        # Whatever ends the script is written down before it goes on its way.
        print_script_traceback(error)
        exit_recorder.record("exception", 1, message_of(error), error)
        raise
    finally:
        # A child of a fork server would leave without either.
        await_threads()
        run_exit_handlers()
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
    # Every forked rank would draw the same numbers, before and after a restart.
    np.random.seed()
    torch.default_generator.seed()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell leaves that to what it starts in the background: the fault `sigint` would do nothing.
        signal.signal(signal.SIGINT, signal.default_int_handler)
