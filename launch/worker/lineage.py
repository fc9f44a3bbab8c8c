"""What earlier incarnations of a rank have done, read from their evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.loop_profile import roles_of
from resumable.launch.evidence.rank_records import AnyRecord, Loader, Save, Step, StepCount, decode_line
from resumable.launch.evidence.recorded_text import RecordedText

ORIGIN = StepCount(num_steps=0, num_batches=0, epoch=0, epoch_batches=0)


class Lineage:
    """What earlier incarnations of this rank have done, by the parameters that they had.

    Args:
        records: Their lines, oldest incarnation first.
    """

    def __init__(self, records: Iterable[AnyRecord]) -> None:
        self._by_state: dict[str, StepCount] = {}
        self._by_number: dict[int, StepCount] = {}
        for record in records:
            if isinstance(record, Step):
                if not self._by_state and record.before is not None:
                    self._by_state[record.before] = ORIGIN
                if record.after is not None and record.since_start is not None:
                    self._by_state[record.after] = record.since_start
                    self._by_number[record.since_start.num_steps] = record.since_start

    def find(self, state: str) -> StepCount | None:
        """The count at which the parameters had this digest; None if they never had. Without any step: the origin."""
        return self._by_state.get(state) if self._by_state else ORIGIN

    def at(self, num_steps: int | None) -> StepCount | None:
        """The count after so many steps; None if this rank has not done them."""
        return None if num_steps is None else self._by_number.get(num_steps)


class EarlierSave(NamedTuple):
    """What an earlier process has saved."""

    content: Mapping[str, Fingerprint]
    """By key."""
    num_steps: int | None
    """Steps done since training began; None where that is not known."""


def earlier_saves(files: Iterable[Path]) -> list[EarlierSave]:
    """All that these files of evidence tell of."""
    return [save for life in read_earlier(files) for save in _saves_of(life)]


def num_steps_at(read: Iterable[Mapping[str, Fingerprint]], saves: Sequence[EarlierSave]) -> int | None:
    """After how many steps all was saved that was read; None if nothing tells."""
    dated = [(save.num_steps, save.content) for save in saves if save.num_steps is not None]
    found = [{number for number, content in dated if part.items() <= content.items()} for part in read]
    known = [numbers for numbers in found if numbers]
    return max(set.intersection(*known), default=None) if known else None


def look_of(loader: Loader) -> Loader:
    """What distinguishes it, in any process."""
    return msgspec.structs.replace(loader, sequence=0, time_ns=0, loader=0)


def looks_trained_on(life: Sequence[AnyRecord]) -> Iterator[Loader]:
    """What the loaders look like that an earlier process trained on."""
    training = roles_of(life, by_inputs=False).training
    return (look_of(record) for record in life if isinstance(record, Loader) and record.loader in training)


def _saves_of(life: Iterable[AnyRecord]) -> Iterator[EarlierSave]:
    num_steps = None
    for record in life:
        if isinstance(record, Step):
            num_steps = record.since_start.num_steps if record.since_start is not None else None
        elif isinstance(record, Save) and record.phase == "begin":
            yield EarlierSave(record.fingerprints, num_steps)


def read_earlier(files: Iterable[Path]) -> list[list[AnyRecord]]:
    """The lines of each evidence file; one that cannot be read ends its file, as a killed writer leaves it."""
    return [list(_readable(file)) for file in files]


def _readable(file: Path) -> Iterable[AnyRecord]:
    try:
        yield from map(decode_line, RecordedText(file).lines())
    except Exception:  # a line that is torn; a folder that is gone; an audit hook of the job that lets nobody open it
        return
