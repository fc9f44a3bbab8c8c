from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from resumable.launch.evidence.rank_records import AnyRecord
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import PlannedFault, resolve
from resumable.launch.worker.patching import Patches

FAULT = resolve([parse_fault("sigterm@save#0+during:rank=0")], world_size=1, seed=0)[0]


class Listener:
    """Stands where the recorder stands, and keeps what it is told."""

    is_active = True

    def __init__(self) -> None:
        self.records: list[AnyRecord] = []

    def emit(self, record_type: type[AnyRecord], **fields: Any) -> AnyRecord:
        self.records.append(record_type(sequence=len(self.records), time_ns=0, **fields))
        return self.records[-1]

    def settle_with(self, settle: Callable[[], None] | None) -> None:
        """Nothing is left unseen."""

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else records."""
        return nullcontext()

    def sync(self) -> None:
        """What is kept in memory needs no disk."""

    def of(self, record_type: type[AnyRecord]) -> list[AnyRecord]:
        return [record for record in self.records if isinstance(record, record_type)]


class Interrupter:
    """Stands where the trigger stands: in the middle of a save it does what it is told to."""

    def __init__(self) -> None:
        self.fault: PlannedFault | None = None
        self.act: Callable[[str], None] = lambda _path: None
        self.looked_at: list[tuple[str, int]] = []
        self._given: list[PlannedFault | None] = []

    def fault_during_save(self) -> PlannedFault | None:
        self._given.append(self.fault)
        return self.fault

    def fire_during_save(self, fault: PlannedFault, path: str) -> None:
        """A save in the background may come to it when the next one has been asked about already."""
        assert fault in self._given
        self.looked_at.append((path, Path(path).stat().st_size if path else 0))
        self.act(path)


def told(listener: Listener) -> list[tuple[str, ...]]:
    """What was recorded: kind, phase and file names."""
    fields = ("phase", "path", "source", "target")
    return [
        (type(record).__name__, *(Path(getattr(record, field)).name for field in fields if hasattr(record, field)))
        for record in listener.records
    ]


@pytest.fixture
def patches() -> Iterator[Patches]:
    """What is patched in a test is as before after it, and nothing is patched with a later import."""
    patches = Patches()
    yield patches
    patches.undo()


@pytest.fixture
def listener() -> Listener:
    return Listener()
