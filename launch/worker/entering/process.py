"""A process that somebody else started, watched from the moment when torch is there: a rank, if it turns out to be one.

It is one as soon as it has joined a process group, or makes an optimizer step without any. Agents, launchers, loader workers
and whatever else imports torch do neither, and leave nothing behind.
"""

from __future__ import annotations

import atexit
import os
import platform
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch.compiler import is_compiling
from torch.distributed import distributed_c10d
from torch.optim.optimizer import register_optimizer_step_pre_hook

from resumable.launch.errors import EvidenceError
from resumable.launch.evidence.rank_records import FORMAT_VERSION, AnyRecord, Step, Superseded
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.plan.plan import Plan
from resumable.launch.system.environment import RankEnvironment, Recording, said_local_rank, said_rank
from resumable.launch.system.standard_error import say
from resumable.launch.worker import torch_private
from resumable.launch.worker.ddp_buckets import keep_buckets
from resumable.launch.worker.entering.late_recorder import LateRecorder
from resumable.launch.worker.entering.membership import claim_number, draw_group, earlier_groups
from resumable.launch.worker.entering.train_functions import TrainFunctionWatch
from resumable.launch.worker.error_facts import message_of
from resumable.launch.worker.exit import call_before_abrupt_exit
from resumable.launch.worker.exit_recorder import ExitRecorder
from resumable.launch.worker.faults.trigger import Trigger
from resumable.launch.worker.lineage import EarlierSave, earlier_saves, read_earlier
from resumable.launch.worker.patching import Args, Kwargs, Patches
from resumable.launch.worker.position import Position
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watching import watch

_LOOK_S = 1.0
"""Between two looks for a later group: a call to the file system of the run directory."""


class RecordedProcess:
    """See the module's text.

    Args:
        recording: Where it is recorded.
    """

    def __init__(self, recording: Recording) -> None:
        self._scenario_dir = RunDir(root=recording.run_dir).scenario(recording.scenario)
        self._plan = _plan_of(recording)
        self._keep = recording.keep
        self._patches = Patches()  # as long as the process
        self._recorder = LateRecorder()
        self._saves = cache(self._read_saves)
        self._position = Position(None, self._saves)
        self._exit_code: tuple[int, str] | None = None
        self._exit_error: BaseException | None = None
        self._is_rank = False
        self._successor: tuple[int, Path] | None = None
        self._next_look = 0.0

    def install(self) -> None:
        """Put everything in place."""
        self._watch_first_step()
        state = watch(
            self._recorder,
            self._position,
            self._make_trigger,
            self._patches,
            saved_keys=lambda: {frozenset(save.content) for save in self._saves()},
            digests_content=self._plan is not None and self._plan.content,
            keep=self._keep,
        )
        for module in (dist, distributed_c10d):
            self._patches.wrap(module, "init_process_group", self._around_init)
        if self._plan is not None and self._plan.command == "verify":
            keep_buckets(self._patches)
        self._exit_recorder = ExitRecorder(self._recorder, state.note_end)
        call_before_abrupt_exit(self._patches, self._exit_recorder.record_abrupt)
        TrainFunctionWatch(self._at_end_of_function).install(self._patches)
        self._patches.wrap_hot(sys, "exit", self._around_exit)
        self._recorder.observe(self._look_for_successor, Step)
        atexit.register(self._at_exit)
        os.register_at_fork(after_in_child=self._after_fork)

    def _make_trigger(self, loader_workers: Callable[[], Sequence[int]]) -> LateTrigger:
        self._trigger = LateTrigger(self._recorder, self._position, loader_workers)
        return self._trigger

    def _around_init(self, original: Callable[..., None], _instance: None, args: Args, kwargs: Kwargs) -> None:
        original(*args, **kwargs)
        self._become_rank()

    def _watch_first_step(self) -> None:
        become_rank = self._patches.hidden(self._become_rank)

        def before_step(_optimizer: object, _args: object, _kwargs: object) -> None:
            if not is_compiling():
                become_rank()

        self._patches.skip(before_step)
        self._patches.on_undo(register_optimizer_step_pre_hook(before_step).remove)

    def _become_rank(self) -> None:
        if self._is_rank or not self._recorder.is_active:
            return
        self._is_rank = True
        try:
            self._begin()
        except Exception as error:  # a full disk, a share that is gone: the job goes on, unrecorded
            self._recorder.close()
            say(f"resumable: this rank is not recorded: {type(error).__name__}: {error}")

    def _begin(self) -> None:
        rank, world_size, group = _membership()
        self._scenario_dir.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._scenario_dir.create()
        if rank == 0:
            number = claim_number(self._scenario_dir, group, world_size)
            self._successor = number + 1, self._scenario_dir.life_file(number + 1)
        before = list(earlier_groups(self._scenario_dir, group))
        host = socket.gethostname()
        file = self._scenario_dir.group_event_file(group=group, rank=rank, host=host, pid=os.getpid())
        environment = RankEnvironment(
            rank=rank,
            local_rank=said_local_rank(),
            world_size=world_size,
            node=0,
            node_number=0,
            incarnation=len(before),
            scenario_dir=self._scenario_dir.root,
        )
        faults = self._plan.scenario(self._scenario_dir.root.name).faults if self._plan is not None else ()
        earlier = read_earlier(_files_of(self._scenario_dir, before, rank)) if faults else None
        if before:
            self._position.take_up(earlier)
        self._trigger.arm(faults, environment, self._scenario_dir, earlier or [])
        self._recorder.begin(
            file,
            holds_steps=self._keep == "quick" and self._plan is None,
            format=FORMAT_VERSION,
            incarnation=environment.incarnation,
            rank=rank,
            local_rank=environment.local_rank,
            world_size=world_size,
            node=0,
            pid=os.getpid(),
            python=platform.python_version(),
            torch=str(torch.__version__),
            host=host,
            group=group,
            keep=self._keep,
        )

    def _after_fork(self) -> None:
        """What a rank forks helps it; what another process forks may become a rank."""
        if not self._is_rank:
            self._recorder.adopt()

    def _around_exit(self, original: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
        def exit(status: Any = None, /) -> NoReturn:
            # The system keeps the last eight bits: exit(-1) leaves 255, exit(256) leaves 0.
            code = status & 0xFF if isinstance(status, int) else int(status is not None)
            self._exit_code = code, status if isinstance(status, str) else ""
            self._exit_error = sys.exc_info()[1]
            self._recorder.observe(self._forget_exit)
            original(status)

        return exit

    def _look_for_successor(self, _step: Step) -> None:
        """A scheduler that has lost sight of a node starts the job elsewhere, while its old ranks train on."""
        if self._successor is None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_S
        number, file = self._successor
        if os.path.exists(file):  # noqa: PTH110 - of a share that is gone it says no, and does not raise in the job
            self._successor = None
            self._recorder.emit(Superseded, life=number)

    def _read_saves(self) -> list[EarlierSave]:
        try:
            return earlier_saves(self._scenario_dir.event_files(rank=0))
        except OSError:  # a share that is gone
            return []

    def _forget_exit(self, _record: AnyRecord) -> None:
        """A script that goes on has caught its own exit."""
        self._exit_code = None

    def _at_exit(self) -> None:
        """The interpreter ends: it has kept what was raised, and not the code that it leaves with."""
        if self._is_writing:
            error = getattr(sys, "last_value", None)
            if error is not None or self._exit_code is None:
                self._at_end_of_function(error)
            else:
                self._exit_recorder.record("system_exit", *self._exit_code, self._exit_error)

    def _at_end_of_function(self, error: BaseException | None) -> None:
        """The script, or the function that stands for it, has raised this; None: it came to its end."""
        if not self._is_writing:
            return
        if isinstance(error, KeyboardInterrupt):
            self._exit_recorder.record("exception", 128 + signal.SIGINT, "KeyboardInterrupt", error)
        elif error is not None:
            self._exit_recorder.record("exception", 1, message_of(error), error)
        else:
            self._exit_recorder.record("finished")

    @property
    def _is_writing(self) -> bool:
        return self._is_rank and self._recorder.is_active


class LateTrigger(Trigger):
    """Lets nothing happen until it is known which rank this is."""

    def __init__(self, recorder: Recorder, position: Position, loader_workers: Callable[[], Sequence[int]]) -> None:
        nobody = RankEnvironment(
            rank=-1, local_rank=-1, world_size=0, node=0, node_number=0, incarnation=0, scenario_dir=Path()
        )
        super().__init__(recorder, (), environment=nobody, scenario_dir=ScenarioDir(root=Path()), position=position)
        self._workers = loader_workers

    def arm(
        self,
        faults: Sequence[Any],
        environment: RankEnvironment,
        scenario_dir: ScenarioDir,
        earlier: Sequence[Sequence[AnyRecord]],
    ) -> None:
        """Let the faults of this rank happen from now on.

        Args:
            faults: All of the scenario's.
            environment: Who this rank is.
            scenario_dir: Of the scenario.
            earlier: What its earlier lives recorded.
        """
        super().__init__(
            self._recorder,
            faults,
            environment=environment,
            scenario_dir=scenario_dir,
            position=self._position,
            earlier=earlier,
            loader_workers=self._workers,
            folders=(scenario_dir.root, Path.cwd()),
        )
        self._recorder.observe(self.observe)


def _plan_of(recording: Recording) -> Plan | None:
    """What is to be done to the job; None where it is only recorded."""
    run_dir = RunDir(root=recording.run_dir)
    try:
        return run_dir.read_plan() if run_dir.plan_file.exists() else None
    except (EvidenceError, OSError):
        return None


def _membership() -> tuple[int, int, str]:
    """Rank, number of ranks, and the group's name, as the process group says them; without one, as the launcher does."""
    if dist.is_available() and dist.is_initialized():
        rank = dist.get_rank()
        return rank, dist.get_world_size(), draw_group(torch_private.default_store(), rank)
    _, world_size = said_rank() or (0, 1)
    if world_size > 1:
        raise RuntimeError(f"WORLD_SIZE={world_size}, and no process group in which ranks know each other")
    return 0, 1, draw_group(None, 0)


def _files_of(scenario_dir: ScenarioDir, groups: Sequence[str], rank: int) -> list[Path]:
    """Evidence of this rank's earlier lives; of rank 0's, for those in which there was no such rank."""
    own = [{file.name.partition("-")[0]: file for file in scenario_dir.event_files(rank=one)} for one in (0, rank)]
    files = {**own[0], **own[1]}
    return [files[name] for name in (f"g{group[:16]}" for group in groups) if name in files]
