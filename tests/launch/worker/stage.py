"""A rank without a process: events are shown to its trigger, and what the trigger would do is written down."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from resumable.launch.evidence.rank_records import (
    AnyRecord,
    Backward,
    Batch,
    FaultFired,
    Load,
    Loader,
    Rename,
    Save,
    Step,
    StepCount,
)
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import PlannedFault, resolve
from resumable.launch.system.environment import RankEnvironment
from resumable.launch.worker.faults.effects import Effects
from resumable.launch.worker.faults.trigger import Trigger
from resumable.launch.worker.position import Position
from tests.launch.worker.conftest import Listener

BATCHES_AN_EPOCH = 2


class Echo(Listener):
    """Tells the trigger of its own records too, as the recorder does."""

    trigger: Trigger

    def emit(self, record_type: type[AnyRecord], **fields: Any) -> AnyRecord:
        record = super().emit(record_type, **fields)
        self.trigger.observe(record)
        return record


class Stage:
    """One life of a rank.

    Args:
        root: Folder of the scenario.
        faults: As on a command line.
        rank: Of two.
        incarnation: Number of the life.
        earlier: What the rank's earlier lives recorded.
        loader_workers: Pids.
        await_companions: How the rank waits for those that die at the same moment.
    """

    def __init__(
        self,
        root: Path,
        *faults: str,
        rank: int = 0,
        incarnation: int = 0,
        earlier: Sequence[Sequence[AnyRecord]] = (),
        loader_workers: Sequence[int] = (),
        await_companions: Callable[[Callable[[], bool]], None] = lambda _have_fired: None,
    ) -> None:
        self.performed = Performed()
        self.scenario_dir = ScenarioDir(root=root)
        self.scenario_dir.create()
        self.listener = Echo()
        self.position = Position(earlier if incarnation else None)
        self.trigger = Trigger(
            self.listener,
            resolve([parse_fault(fault) for fault in faults], world_size=2, seed=0),
            environment=RankEnvironment(
                rank=rank,
                local_rank=rank,
                world_size=2,
                node=0,
                node_number=0,
                incarnation=incarnation,
                scenario_dir=root,
            ),
            scenario_dir=self.scenario_dir,
            position=self.position,
            earlier=earlier,
            loader_workers=lambda: loader_workers,
            effects=self.performed.effects(await_companions, self.has_mark),
            folders=(root,),
        )
        self.listener.trigger = self.trigger

    @property
    def fired(self) -> list[FaultFired]:
        """The records of faults so far."""
        return [line for line in self.listener.records if isinstance(line, FaultFired)]

    def show(self, *events: AnyRecord) -> list[int]:
        """Let these happen; says upon which of them, from 0, a fault fired."""
        return [number for number, event in enumerate(events) if self._fires_upon(event)]

    def has_mark(self, fault: int = 0) -> bool:
        """Whether it is known for good that a fault has fired."""
        return self.scenario_dir.fired_on_node(fault) is not None

    def _fires_upon(self, event: AnyRecord) -> bool:
        num_fired = len(self.fired)
        self.position.follow(event)
        self.trigger.observe(event)
        return len(self.fired) > num_fired


class Performed:
    """Keeps what would have been done."""

    def __init__(self) -> None:
        self.faults: list[PlannedFault] = []
        self.damaged: list[str] = []
        self.loader_workers: list[int | None] = []
        self.awaited: list[str] = []
        self.listening: list[bool] = []
        """For each time that somebody began to listen for a notice: whether the mark that brings it was there already."""

    def effects(self, await_companions: Callable[[Callable[[], bool]], None], has_mark: Callable[[], bool]) -> Effects:
        @contextlib.contextmanager
        def notice_of(_fault: PlannedFault) -> Iterator[Callable[[], bool]]:
            self.listening.append(has_mark())
            yield lambda: True

        return Effects(
            perform=self._perform,
            damage=lambda _fault, path: self.damaged.append(path.name),
            notice_of=notice_of,
            await_supervisor=lambda done, _has_notice: self.awaited.append(done.name),
            await_companions=await_companions,
        )

    def _perform(self, fault: PlannedFault, *, loader_worker: int | None, path: str) -> None:
        self.faults.append(fault)
        self.loader_workers.append(loader_worker)


def loader() -> Loader:
    return Loader(sequence=0, time_ns=0, loader=0, dataset="Digits", num_batches=BATCHES_AN_EPOCH)


def trained(number: int) -> list[AnyRecord]:
    """One batch, its backward pass and its step; both are counted from 0 since training began."""
    epoch, batch = divmod(number, BATCHES_AN_EPOCH)
    count = StepCount(num_steps=number + 1, num_batches=number + 1, epoch=epoch, epoch_batches=batch + 1)
    return [
        Batch(sequence=number, time_ns=0, loader=0, epoch=epoch, batch=batch, indices=[number]),
        Backward(sequence=0, time_ns=0),
        Step(sequence=0, time_ns=0, step=number, before=f"{number}", after=f"{number + 1}", since_start=count),
    ]


def saved(path: str, *phases: str) -> list[AnyRecord]:
    return [Save(sequence=0, time_ns=0, path=path, phase=phase) for phase in phases or ("begin", "end")]


def renamed(source: str, target: str) -> Rename:
    return Rename(sequence=0, time_ns=0, source=source, target=target)


def loaded(path: str) -> Load:
    return Load(sequence=0, time_ns=0, path=path)


def placed_in(folder: Path, event: AnyRecord) -> AnyRecord:
    """The same with its paths in a folder; a buffer in memory has none."""
    names = [name for name in ("path", "source", "target") if getattr(event, name, "")]
    return msgspec.structs.replace(event, **{name: str(folder / getattr(event, name)) for name in names})
