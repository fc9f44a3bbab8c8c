from __future__ import annotations

from typing import Any

import pytest

from launch.records import AnyRecord


class Listener:
    """Stands where the recorder stands, and keeps what it is told."""

    is_active = True

    def __init__(self) -> None:
        self.records: list[AnyRecord] = []

    def emit(self, record_type: type[AnyRecord], **fields: Any) -> None:
        self.records.append(record_type(sequence=len(self.records), time_ns=0, **fields))

    def sync(self) -> None:
        """What is kept in memory needs no disk."""

    def of(self, record_type: type[AnyRecord]) -> list[AnyRecord]:
        return [record for record in self.records if isinstance(record, record_type)]


@pytest.fixture
def listener() -> Listener:
    return Listener()
