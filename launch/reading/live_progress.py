"""How far the ranks of a run are while it goes on, from the lines that they have written so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from resumable.launch.evidence.growing_file import GrowingFile
from resumable.launch.evidence.node_records import Sealed, decode_node_line
from resumable.launch.evidence.rank_records import (
    AnyRecord,
    Backward,
    Batch,
    Exit,
    FaultFired,
    Start,
    Step,
    StepCount,
    decode_line,
)
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.reading.trained import unscaled

NUM_TIMED = 64
"""Steps over which the rate is taken."""
STALLED_S = 10.0
"""Of silence, after which a rate says nothing about what is left."""

Doing = Literal["starting", "training", "hit", "finished", "failed"]
"""starting: no batch yet. hit: a fault has fired, and nothing came after it."""


class RankProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The newest process of a rank."""

    rank: int
    incarnation: int
    """How often its group was started again."""
    doing: Doing
    num_steps: int
    """Since training began, or of this process where `is_whole` is False."""
    is_whole: bool
    place: StepCount | None
    """Where the last step stands since training began; None before it, or where the worker could not tell."""
    loss: float | None
    """Of the last backward pass, where it lay on the CPU."""
    steps_per_s: float | None
    """Over the last steps; None before the second one."""
    message: str = ""
    """Of a process that failed."""
    silent_s: float = 0.0
    """Since it wrote its last line."""

    @property
    def is_stalled(self) -> bool:
        """Whether it should have written by now."""
        return self.doing in ("starting", "training") and self.silent_s > STALLED_S

    def left_s(self, num_total: int | None) -> float | None:
        """Seconds to the end of `num_total` steps at this rate; None where that is not known."""
        is_known = self.doing == "training" and self.is_whole and not self.is_stalled
        if not is_known or num_total is None or not self.steps_per_s:
            return None
        return max(0, num_total - self.num_steps) / self.steps_per_s


class RunProgress:
    """Follows all processes of one scenario, reading only what is new.

    Args:
        scenario: Where its evidence appears.
    """

    def __init__(self, scenario: ScenarioDir) -> None:
        self._scenario = scenario
        self._files: dict[Path, tuple[GrowingFile, _Process]] = {}
        self._supervisor = GrowingFile(scenario.supervisor_file)
        self.is_over = False
        """Whether nobody writes any more."""

    def update(self) -> None:
        """Read on."""
        for path in self._scenario.event_files():
            file, process = self._files.setdefault(path, (GrowingFile(path), _Process()))
            process.follow(file.new_lines())
        self.is_over = self.is_over or any(_is_seal(line) for line in self._supervisor.new_lines())

    @property
    def ranks(self) -> tuple[RankProgress, ...]:
        """By rank, those that are gone after a restart with fewer ranks left out."""
        begun = [(process.start, file, process) for file, process in self._files.values() if process.start is not None]
        begun.sort(key=lambda one: one[0].incarnation)
        world_size = begun[-1][0].world_size if begun else 0
        latest = {start.rank: process.progress(start, file.silent_s) for start, file, process in begun}
        return tuple(progress for rank, progress in sorted(latest.items()) if rank < world_size)

    @property
    def has_succeeded(self) -> bool:
        """Whether all ranks have come to their end: nobody starts them again."""
        return bool(self.ranks) and all(rank.doing == "finished" for rank in self.ranks)


def num_steps_of(reference: RunProgress) -> int | None:
    """How many steps training has, from a reference that has come to its end; None from any other."""
    return max(rank.num_steps for rank in reference.ranks) if reference.has_succeeded else None


class _Process:
    """What one process has done so far."""

    def __init__(self) -> None:
        self.start: Start | None = None
        self._doing: Doing = "starting"
        self._num_own = 0
        self._place: StepCount | None = None
        self._loss: float | None = None
        self._times: deque[int] = deque(maxlen=NUM_TIMED)
        self._message = ""
        self._is_damaged = False

    def follow(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if self._is_damaged:
                return
            try:
                self._take(decode_line(line))
            except msgspec.DecodeError:
                self._is_damaged = True  # the verdict will say so; until then what came before it is shown

    def _take(self, record: AnyRecord) -> None:
        match record:
            case Start():
                self.start = record
            case Batch():
                self._doing = "training"
            case Backward():
                self._loss = unscaled(record.loss, record.scale)
            case Step():
                self._doing = "training"
                self._num_own = record.step + 1
                self._place = record.since_start
                self._times.append(record.time_ns)
            case FaultFired():
                self._doing = "hit"
            case Exit():
                has_failed = record.reason == "exception" or record.code != 0
                self._doing, self._message = ("failed" if has_failed else "finished"), record.message

    def progress(self, start: Start, silent_s: float) -> RankProgress:
        is_whole = self._place is not None or start.incarnation == 0
        return RankProgress(
            rank=start.rank,
            incarnation=start.incarnation,
            doing=self._doing,
            num_steps=self._place.num_steps if self._place is not None else self._num_own,
            is_whole=is_whole,
            place=self._place,
            loss=self._loss,
            steps_per_s=self._rate(),
            message=self._message,
            silent_s=silent_s,
        )

    def _rate(self) -> float | None:
        if len(self._times) < 2 or self._times[-1] <= self._times[0]:
            return None
        return (len(self._times) - 1) * 1e9 / (self._times[-1] - self._times[0])


def _is_seal(line: bytes) -> bool:
    try:
        return isinstance(decode_node_line(line), Sealed)
    except msgspec.DecodeError:
        return False
