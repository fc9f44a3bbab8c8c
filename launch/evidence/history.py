"""What was recorded of one scenario, read back: by process, with whatever is damaged or missing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec

from resumable.launch.evidence.node_records import (
    NodeEnded,
    NodeFaultActed,
    RankEnded,
    RankHung,
    RoundStarted,
)
from resumable.launch.evidence.rank_records import (
    AnyRecord,
    Backward,
    Batch,
    Exit,
    LetGo,
    SkippedStep,
    Start,
    Step,
)
from resumable.launch.system.wording import place


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence that is not there, or that cannot be believed."""

    path: str
    """Relative to the run directory."""
    line: int | None = None
    """From 1; None where the whole file is meant."""
    what: str

    def __str__(self) -> str:
        return f"{place(self.path, self.line)}: {self.what}"


class Process(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What one process of the job wrote. The line number of a record is its `sequence` + 1."""

    file: str
    """Relative to the run directory."""
    start: Start
    records: Sequence[AnyRecord]
    """All of them, that of the start included; each may be decoded when it is looked at."""
    noted: tuple[AnyRecord, ...] | None = None
    """`events`, where they were noted when the records were read."""
    is_torn: bool = False
    """The last line was cut off: the process was killed while it wrote."""
    was_dismissed: bool = False
    """Whoever started it ended it once it was done, as `resumable.launch.reading.dismissal` infers."""

    @property
    def incarnation(self) -> int:
        """Number of its worker group."""
        return self.start.incarnation

    @property
    def rank(self) -> int:
        """Its rank in the worker group."""
        return self.start.rank

    @property
    def exit(self) -> Exit | None:
        """How the script ended; None if the process was killed."""
        last = self.events[-1]
        return last if isinstance(last, Exit) else None

    @property
    def has_ended_well(self) -> bool:
        """Whether its script came to its end, or left with exit code 0, or had nothing left to do."""
        if self.was_dismissed:
            return True
        return self.exit is not None and self.exit.reason != "exception" and self.exit.code == 0

    @cached_property
    def events(self) -> tuple[AnyRecord, ...]:
        """Those records that no batch and no step leaves: few, whatever the length of the training."""
        return self.noted if self.noted is not None else tuple(r for r in self.records if is_event(r))

    @cached_property
    def has_trained(self) -> bool:
        """Whether it made an optimizer step."""
        return any(isinstance(record, Step) for record in self.records)


def is_event(record: AnyRecord) -> bool:
    """Whether a record is of something else than a batch and what was made of it."""
    return not isinstance(record, Batch | Backward | Step | SkippedStep | LetGo)


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The merged evidence of one scenario."""

    name: str
    """Name of the scenario."""
    recorded_as: str = ""
    """Its name when it was recorded, after which the folder of its files is called; "": the same."""
    processes: tuple[Process, ...] = ()
    """In order of (incarnation, rank)."""
    rounds: tuple[RoundStarted, ...] = ()
    """What the nodes announced, in order of (incarnation, node)."""
    ends: tuple[NodeEnded, ...] = ()
    """How the nodes ended, each node's in its own order."""
    rank_ends: tuple[RankEnded, ...] = ()
    """When the process of each rank was gone, as its node saw it."""
    hangs: tuple[RankHung, ...] = ()
    """Ranks that the hang watch ended."""
    acts: tuple[NodeFaultActed, ...] = ()
    """What the supervisor did to nodes, in order."""
    logs: frozenset[str] = frozenset()
    """Log files that are there, as `i0/rank1.err`."""
    is_sealed: bool = True
    """Who ran it saw its end, and wrote down where every file ended; evidence of earlier releases has no seal and counts as
    sealed."""
    damage: tuple[Damage, ...] = ()

    @property
    def folder(self) -> str:
        """Name of the folder in which the files lay that its lines name."""
        return self.recorded_as or self.name

    @property
    def incarnations(self) -> tuple[int, ...]:
        """Numbers of all worker groups, those that left no line included."""
        announced = {round_.incarnation for round_ in self.rounds}
        return tuple(sorted(announced | {process.incarnation for process in self.processes}))

    def group(self, incarnation: int) -> tuple[Process, ...]:
        """The processes of one worker group, by rank."""
        return tuple(process for process in self.processes if process.incarnation == incarnation)

    def world_size(self, incarnation: int) -> int:
        """Ranks of one worker group, as it was announced or as its processes knew it."""
        announced = [round_.world_size for round_ in self.rounds if round_.incarnation == incarnation]
        return max([*announced, *(process.start.world_size for process in self.group(incarnation))])
