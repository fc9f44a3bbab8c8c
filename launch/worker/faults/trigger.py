"""Lets the planned faults of this rank happen, each once in the life of a scenario."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from resumable.launch.evidence.rank_records import (
    AnyRecord,
    Batch,
    Copy,
    FaultFired,
    FaultRefused,
    Load,
    Rename,
    Save,
    Step,
)
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.evidence.written_files import files_in
from resumable.launch.plan.fault_kinds import CHECKPOINT_DAMAGE, NODE_KINDS
from resumable.launch.plan.fault_model import Part, PlannedFault, Point, When
from resumable.launch.system.environment import RankEnvironment
from resumable.launch.worker.faults.effects import Effects, damageable_part, why_not_damaged
from resumable.launch.worker.position import Position
from resumable.launch.worker.recorder import Recorder


class Trigger:
    """Looks at every event and performs a fault when its moment has come.

    Args:
        recorder: Gets the record of the fault, synced to the disk before the fault acts.
        faults: All faults of the scenario.
        environment: Who this rank is.
        scenario_dir: Holds a mark for every fault that has fired.
        position: Where this rank's training stands.
        earlier: What this rank's earlier incarnations recorded, each for itself.
        loader_workers: Gives the pids of this rank's loader workers.
        effects: What is done when a fault fires.
        folders: Only what lies in these may be damaged: the run's own.
    """

    def __init__(
        self,
        recorder: Recorder,
        faults: Sequence[PlannedFault],
        *,
        environment: RankEnvironment,
        scenario_dir: ScenarioDir,
        position: Position,
        earlier: Sequence[Sequence[AnyRecord]] = (),
        loader_workers: Callable[[], Sequence[int]] = lambda: (),
        effects: Effects | None = None,
        folders: Sequence[Path] = (),
    ) -> None:
        self._recorder = recorder
        self._faults = faults
        self._environment = environment
        self._scenario_dir = scenario_dir
        self._position = position
        self._loader_workers = loader_workers
        self._effects = effects or Effects()
        self._folders = folders
        self._armed = [fault for fault in faults if self._is_ours(fault) and not self._mark(fault).exists()]
        records = [record for life in earlier for record in life]
        self._num_saves = sum(isinstance(record, Save) and record.phase == "begin" for record in records)
        self._num_loads = sum(isinstance(record, Load) for record in records)
        self._found = [file for life in earlier for file in files_in(life)]
        self._writes: list[Save | Rename | Copy] = []
        self._begun: dict[str, int] = {}
        self._ended: int | None = None

    def observe(self, record: AnyRecord) -> bool:
        """Perform what is due now that this was recorded; its own records are no events. True where nothing is left."""
        if not self._armed or isinstance(record, FaultFired | FaultRefused):
            return not self._armed
        self._count(record)
        for fault in list(self._armed):
            if self._is_due(fault.when, record):
                self._fire(fault)
        self._ended = None
        if isinstance(record, Save) and record.phase == "end":
            self._ended = self._begun.get(record.path)
        return False

    def fault_during_save(self) -> PlannedFault | None:
        """The fault that is to happen when half of the checkpoint that was begun last is written."""
        moment = When(Point.SAVE, (self._num_saves - 1,), Part.DURING)
        return next((fault for fault in self._armed if fault.when == moment), None)

    def fire_during_save(self, fault: PlannedFault, path: str) -> None:
        """Half of that checkpoint is written, in whatever thread: let it happen."""
        with self._recorder.alone():
            self._fire(fault, path=path)

    def _count(self, record: AnyRecord) -> None:
        if isinstance(record, Save | Rename | Copy):
            self._writes.append(record)
        if isinstance(record, Save) and record.phase == "begin":
            self._begun[record.path] = self._num_saves
            self._num_saves += 1
        self._num_loads += isinstance(record, Load)

    def _is_due(self, when: When, record: AnyRecord) -> bool:
        match record:
            case Batch():
                is_due = self._is_due_at_batch(when, record)
            case Step():
                is_due = self._is_due_after_step(when, record)
            case Save(phase="begin"):
                is_due = when == When(Point.SAVE, (self._num_saves - 1,), Part.BEFORE)
            case Load():
                is_due = when == When(Point.LOAD, (self._num_loads - 1,))
            case _:
                is_due = False
        return is_due or self._is_due_after_save(when)

    def _is_due_after_save(self, when: When) -> bool:
        """Due with the first event after the save: the rename that puts the file into place, where there is one.

        A save that goes on in the background may end when the next one has begun.
        """
        return self._ended is not None and when == When(Point.SAVE, (self._ended,), Part.AFTER)

    def _is_due_at_batch(self, when: When, batch: Batch) -> bool:
        upcoming = self._position.upcoming(batch)
        match when.point:
            case Point.BATCH:
                return upcoming is not None and (upcoming.batch,) == when.numbers
            case Point.EPOCH_BATCH:
                return upcoming is not None and (upcoming.epoch, upcoming.epoch_batch) == when.numbers
            case Point.RESUME:
                return self._environment.incarnation > 0 and when.numbers == (0,) and self._position.num_steps == 0
            case _:
                return False

    def _is_due_after_step(self, when: When, step: Step) -> bool:
        match when.point:
            case Point.STEP:
                return step.since_start is not None and (step.since_start.num_steps - 1,) == when.numbers
            case Point.RESUME:
                return self._environment.incarnation > 0 and (step.step + 1,) == when.numbers
            case _:
                return False

    def _fire(self, fault: PlannedFault, *, path: str = "") -> None:
        """Do it, once; a fault that finds nothing to act on stays undone, and its missing record says so."""
        self._armed.remove(fault)
        pid = None
        if fault.kind in CHECKPOINT_DAMAGE:
            path = self._file_to_damage(fault)
            if not path:
                return
        if fault.kind.facts.needs == "loader worker":
            pid = next(iter(self._loader_workers()), None)
            if pid is None:
                return
        with self._effects.notice_of(fault) as has_notice:
            self._recorder.emit(FaultFired, fault=fault.number, kind=fault.kind, path=path, pid=pid)
            self._recorder.sync()
            self._leave_mark(fault)
            self._wait_for_companions(fault)
            if fault.kind in NODE_KINDS:
                self._effects.await_supervisor(self._scenario_dir.done_mark(fault.number), has_notice)
                return
        if fault.kind in CHECKPOINT_DAMAGE:
            self._effects.damage(fault, Path(path))
        self._effects.perform(fault, loader_worker=pid, path=path)

    def _file_to_damage(self, fault: PlannedFault) -> str:
        """Of the newest checkpoint that is there; "" if none is. What comes first and may not be damaged is named.

        What was seen saved comes before what was only renamed into place: a script may have taken that from elsewhere.
        """
        newest_first = reversed((*self._found, *files_in(self._writes)))
        saved_first = sorted(newest_first, key=lambda file: (not file.is_saved, file.copied is not None))
        parts = (damageable_part(Path(file.path), self._environment.rank) for file in saved_first if file.is_checkpoint)
        for part in dict.fromkeys(part for part in parts if part is not None):
            why = why_not_damaged(part, self._folders)
            if why is None:
                return str(part)
            self._recorder.emit(FaultRefused, fault=fault.number, path=str(part), why=why)
        return ""

    def _wait_for_companions(self, fault: PlannedFault) -> None:
        """Let those that die at the same moment all reach it: the agent ends the others as soon as it sees one dead."""
        at_once = [other for other in self._faults if other.when == fault.when]
        companions = [other for other in at_once if self._exists(other) and not self._is_ours(other)]
        self._effects.await_companions(lambda: all(map(self._has_fired, companions)))

    def _has_fired(self, fault: PlannedFault) -> bool:
        """Whether its mark is there, and whole."""
        return self._scenario_dir.fired_on_node(fault.number) is not None

    def _is_ours(self, fault: PlannedFault) -> bool:
        """A fault of a node is let happen by the first of its ranks."""
        if fault.rank is None:
            return (fault.node, 0) == (self._environment.node_number, self._environment.local_rank)
        return fault.rank == self._environment.rank

    def _exists(self, fault: PlannedFault) -> bool:
        return fault.rank is None or fault.rank < self._environment.world_size

    def _leave_mark(self, fault: PlannedFault) -> None:
        """Say for good that it fired, and on which node."""
        mark = os.open(self._mark(fault), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(mark, str(self._environment.node_number).encode())
        os.fsync(mark)
        os.close(mark)

    def _mark(self, fault: PlannedFault) -> Path:
        return self._scenario_dir.fired / str(fault.number)
