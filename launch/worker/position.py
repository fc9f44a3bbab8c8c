"""Where a rank's training stands since it began, over all restarts: what "step 7" or "epoch 1, batch 3" means to a fault.

A process counts its own batches and steps only. How many came before it follows from its parameters: earlier incarnations
recorded a digest of theirs after every step, so the digest that this process starts from names the step. That needs no
knowledge of the script's checkpoints. Nothing of this decides a verdict; the checks work it out again from the evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from resumable.launch.evidence.rank_records import (
    FIRST_INPUT,
    AnyRecord,
    Backward,
    Batch,
    EpochEnd,
    Loader,
    Step,
    StepCount,
    decode_line,
)

ORIGIN = StepCount(num_steps=0, num_batches=0, epoch=0, epoch_batches=0)


@dataclass(frozen=True, kw_only=True)
class Upcoming:
    """The batch that would be trained on next, counted from 0 since training began."""

    batch: int
    epoch: int
    epoch_batch: int


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


class Position:
    """Follows the events of this process.

    Args:
        lineage: What came before; None in incarnation 0.
    """

    def __init__(self, lineage: Lineage | None) -> None:
        self._lineage = lineage
        self._base: StepCount | None = ORIGIN if lineage is None else None
        self._lengths: dict[int, int | None] = {}
        self._received: list[Batch] = []
        self._trained: Batch | None = None
        self._num_trained = 0
        self._epoch = 0
        self._epoch_batches = 0
        self.num_steps = 0
        """Steps of this process."""
        self.is_after_step = False
        """Whether a step was done and no batch was received since."""

    @property
    def is_known(self) -> bool:
        """Whether it is known what came before this process."""
        return self._base is not None

    def resume_at(self, state: str) -> None:
        """Say which parameters this process starts from."""
        if self._lineage is not None:
            self._base = self._lineage.find(state)

    def follow(self, record: AnyRecord) -> None:
        """Take note of one event."""
        match record:
            case Loader():
                self._lengths[record.loader] = record.num_batches
            case Batch() if not self._is_beside(record):
                if self.num_steps == 0 and record.loader < FIRST_INPUT:
                    self._forget_inputs()
                self._received.append(record)
                self.is_after_step = False
            case Backward() if self._received:
                # The one that came last; those before it were skipped, or their backward passes are still to come.
                batch = self._received.pop()
                self._epoch, epoch_batch = self._locate(batch)
                self._epoch_batches = epoch_batch + 1
                self._num_trained += 1
                self._trained = batch
            case EpochEnd() if self._trained is None or (record.loader, record.epoch) != self._pass_of(self._trained):
                self._received.clear()
            case Step():
                self._received.clear()
            case _:
                pass

    def upcoming(self, batch: Batch) -> Upcoming | None:
        """Where this batch stands if it is trained on next; None while it is not known what came before."""
        if self._base is None or self._is_beside(batch):
            return None
        epoch, epoch_batch = self._locate(batch)
        return Upcoming(batch=self._base.num_batches + self._num_trained, epoch=epoch, epoch_batch=epoch_batch)

    def count_step(self, num_steps: int) -> StepCount | None:
        """Note that this process has done `num_steps` steps; says what that makes since training began, where known."""
        self.num_steps = num_steps
        self.is_after_step = True
        if self._base is None:
            return None
        return StepCount(
            num_steps=self._base.num_steps + num_steps,
            num_batches=self._base.num_batches + self._num_trained,
            epoch=self._epoch,
            epoch_batches=self._epoch_batches,
            epoch_length=self._lengths.get(self._trained.loader) if self._trained is not None else None,
        )

    def _is_beside(self, batch: Batch) -> bool:
        """Whether it is the input of a model, such as noise, in a script that trains on what a loader delivers."""
        others = [*self._received, *([self._trained] if self._trained is not None else [])]
        return batch.loader >= FIRST_INPUT and any(other.loader < FIRST_INPUT for other in others)

    def _forget_inputs(self) -> None:
        """A script that warms up with batches of its own making begins with the first batch of a loader."""
        if self._trained is not None and self._trained.loader >= FIRST_INPUT:
            self._trained, self._num_trained, self._epoch, self._epoch_batches = None, 0, 0, 0

    @staticmethod
    def _pass_of(batch: Batch) -> tuple[int, int]:
        return batch.loader, batch.epoch

    def _locate(self, batch: Batch) -> tuple[int, int]:
        """Epoch and batch since training began, of a batch of this process."""
        if self._trained is not None:
            same_pass = self._pass_of(batch) == self._pass_of(self._trained)
            return (self._epoch, self._epoch_batches) if same_pass else (self._epoch + 1, 0)
        base = self._base or ORIGIN
        at_border = base.epoch_length is not None and base.epoch_batches >= base.epoch_length
        return (base.epoch + 1, 0) if at_border else (base.epoch, base.epoch_batches)


def _readable(file: Path) -> Iterable[AnyRecord]:
    with file.open("rb") as lines:
        for line in lines:
            try:
                yield decode_line(line)
            except msgspec.DecodeError:
                return
