"""What earlier incarnations of a rank have done, read from their evidence."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from resumable.launch.evidence.rank_records import AnyRecord, Step, StepCount, decode_line
from resumable.launch.evidence.recorded_text import RecordedText

ORIGIN = StepCount(num_steps=0, num_batches=0, epoch=0, epoch_batches=0)


class Lineage:
    """What earlier incarnations of this rank have done, by the parameters that they had.

    Args:
        records: Their lines, oldest incarnation first.
    """

    def __init__(self, records: Iterable[AnyRecord]) -> None:
        self._by_state: dict[str, StepCount] = {}
        for record in records:
            if isinstance(record, Step):
                if not self._by_state and record.before is not None:
                    self._by_state[record.before] = ORIGIN
                if record.after is not None and record.since_start is not None:
                    self._by_state[record.after] = record.since_start

    def find(self, state: str) -> StepCount | None:
        """The count at which the parameters had this digest; None if they never had. Without any step: the origin."""
        return self._by_state.get(state) if self._by_state else ORIGIN


def read_earlier(files: Iterable[Path]) -> list[list[AnyRecord]]:
    """The lines of each evidence file; one that cannot be read ends its file, as a killed writer leaves it."""
    return [list(_readable(file)) for file in files]


def _readable(file: Path) -> Iterable[AnyRecord]:
    for line in RecordedText(file).lines():
        try:
            yield decode_line(line)
        except msgspec.DecodeError:
            return
