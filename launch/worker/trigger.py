"""Lets the planned faults of this rank happen, each once in the life of a scenario."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from launch.faults import Fault, Kind, Point, When
from launch.records import AnyRecord, Batch, FaultFired, Step
from launch.worker.position import Position
from launch.worker.recorder import Recorder

_COMPANIONS_TIMEOUT_S = 5.0
_POLL_S = 0.002


class InjectedFaultError(RuntimeError):
    """Raised in the training script by the fault `exception`."""


class Trigger:
    """Looks at every event and performs a fault when its moment has come.

    Args:
        recorder: Gets the record of the fault, synced to the disk before the fault acts.
        faults: All faults of the scenario.
        rank: This rank.
        world_size: Ranks of this incarnation.
        incarnation: Number of this incarnation.
        fired: Folder of marks, one for every fault that has fired.
        position: Where this rank's training stands.
    """

    def __init__(
        self,
        recorder: Recorder,
        faults: Sequence[Fault],
        *,
        rank: int,
        world_size: int,
        incarnation: int,
        fired: Path,
        position: Position,
    ) -> None:
        self._recorder = recorder
        self._faults = faults
        self._world_size = world_size
        self._incarnation = incarnation
        self._fired = fired
        self._position = position
        self._armed = [fault for fault in faults if fault.rank == rank and not self._mark(fault).exists()]

    def observe(self, record: AnyRecord) -> None:
        """Perform what is due now that this was recorded."""
        if isinstance(record, Batch | Step):
            for fault in self._armed:
                if self._is_due(fault.when, record):
                    self._armed.remove(fault)
                    self._fire(fault)

    def _is_due(self, when: When, record: Batch | Step) -> bool:
        if isinstance(record, Step):
            return self._is_due_after_step(when, record)
        upcoming = self._position.upcoming(record)
        match when.point:
            case Point.BATCH:
                return upcoming is not None and (upcoming.batch,) == when.numbers
            case Point.EPOCH_BATCH:
                return upcoming is not None and (upcoming.epoch, upcoming.epoch_batch) == when.numbers
            case Point.RESUME:
                return self._incarnation > 0 and when.numbers == (0,) and self._position.num_steps == 0
            case Point.STEP:
                return False

    def _is_due_after_step(self, when: When, step: Step) -> bool:
        match when.point:
            case Point.STEP:
                return step.since_start is not None and (step.since_start.num_steps - 1,) == when.numbers
            case Point.RESUME:
                return self._incarnation > 0 and (step.step + 1,) == when.numbers
            case _:
                return False

    def _fire(self, fault: Fault) -> None:
        self._recorder.emit(FaultFired, fault=fault.number, kind=fault.kind)
        self._recorder.sync()
        mark = os.open(self._mark(fault), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.fsync(mark)
        os.close(mark)
        self._wait_for_companions(fault)
        perform(fault)

    def _wait_for_companions(self, fault: Fault) -> None:
        """Let the ranks that die at the same moment all reach it: the agent ends the others as soon as it sees one dead."""
        companions = [other for other in self._faults if other.when == fault.when and other.rank < self._world_size]
        deadline = time.monotonic() + _COMPANIONS_TIMEOUT_S
        while time.monotonic() < deadline and not all(self._mark(other).exists() for other in companions):
            time.sleep(_POLL_S)

    def _mark(self, fault: Fault) -> Path:
        return self._fired / str(fault.number)


def perform(fault: Fault) -> NoReturn:
    """Do it to this process.

    Raises:
        InjectedFaultError: the fault is `exception`.
        SystemExit: the fault is `exit`.
    """
    match fault.kind:
        case Kind.SIGKILL:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()
            raise AssertionError("unreachable: SIGKILL cannot be survived")
        case Kind.EXCEPTION:
            raise InjectedFaultError(f"planned fault: {fault}")
        case Kind.EXIT:
            raise SystemExit(int(fault.argument or 0))
        case _:
            raise NotImplementedError(fault.kind)
