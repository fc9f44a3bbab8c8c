"""What processes saved: when each file was whole, how many steps it holds, where it lies, and what became of it.

A file counts from the moment when its writer closed it or renamed it into place. How many steps it holds is what its
writer had done when it began to write, counted since training began.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath

import msgspec

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import FaultFired, Figure, Rename, Save, State
from resumable.launch.evidence.written_files import File, files_in
from resumable.launch.plan.fault_kinds import NOTICES
from resumable.launch.reading.trajectory import Trajectory

_NUMBERS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![^\W_])(?=[a-f]*\d)[0-9a-f]{8,}(?![^\W_])|\d+")
"""A UUID, a hash in hexadecimal digits, or plain digits."""
Content = Mapping[str, Fingerprint]
"""Fingerprints by key."""
Moment = tuple[int, int]
"""Incarnation, and steps done since training began."""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """A file that one process wrote, or began to write; of a folder to which several ranks write, the part of one."""

    process: Process
    file: File
    path: str
    """Where it lay in the end, whoever moved it there."""
    name: str
    """Under which it was put in place, within the folder of its scenario if it lies there, the same in every run. An older
    copy that is moved to make room for the next one keeps it; "" for a buffer that no file was made of."""
    first_name: str
    """Under which its writing began, likewise."""
    own_step: int
    """Steps that its rank had done since training began, when it was begun; of a copy, when the first one was."""
    step: int
    """The same as all ranks together count them, of which some may make fewer steps than others."""
    earliest_step: int
    """The same, unless a thread of the job saved: it may have been handed its state some steps before it began to write."""
    state: State | None = None
    """What the rank had then; None where a thread of the job saved, which may have been handed its state before."""
    num_accumulated: int = 0
    """Batches that had had their backward pass when it was begun, and whose optimizer step was still to come."""
    is_settled: bool = False
    """Its writer did something else afterwards, so that whatever belongs to the checkpoint (a pointer to the latest,
    a marker) was written too. What the training loop did not wait for is settled once the next one was begun: until then
    it may not have asked whether it is done."""
    is_of_course: bool = False
    """Its process trained on or ended well afterwards, and had no notice before that it will be ended: it is no
    emergency's."""
    is_open: bool = False
    """Its process neither said that it is whole, nor began it again; and it has the name by which it is loaded."""
    was_read_whole: bool = False
    """A later process read all of it there: its own was killed between the end of it and the line that says so."""
    is_half_overwritten: bool = False
    """Its writer died while it wrote the next one over it."""
    is_in_place: bool = True
    """It has the name by which it is loaded; False for a part of a folder that nobody renamed any more, as others were."""
    is_damaged: bool = False
    """A fault damaged it after it was whole."""
    removed_before: int | None = None
    """The first incarnation for which it was gone, because a process of the job removed it; None if it stayed."""

    @property
    def rank(self) -> int:
        """Of its writer."""
        return self.process.rank

    @property
    def incarnation(self) -> int:
        """Of its writer."""
        return self.process.incarnation

    @property
    def place(self) -> tuple[int, int, int]:
        """Incarnation, rank and line (`sequence`) of its begin."""
        return self.incarnation, self.rank, self.file.begin

    @property
    def moment(self) -> Moment:
        """When it began: what ranks save between the same two steps is one save."""
        return self.incarnation, self.step

    @property
    def end_ns(self) -> int:
        """When it was whole under its last name, as far as anybody saw."""
        return (self.file.ended or self.file.begun).time_ns

    @property
    def is_finished(self) -> bool:
        """It was whole."""
        return self.file.ended is not None or self.was_read_whole

    @property
    def is_half_written(self) -> bool:
        """It lies there, and is not whole."""
        return self.is_open and not self.was_read_whole

    @property
    def is_checkpoint(self) -> bool:
        """A process could go on from it, as long as it was there."""
        return self.file.is_checkpoint and self.is_in_place and not self.is_damaged

    @property
    def is_step_sure(self) -> bool:
        """No thread of the job wrote it, which may have been handed its state some steps before."""
        return self.file.writer != "thread"

    @property
    def series(self) -> str:
        """Name of the series that it belongs to."""
        return series_of(self.path)

    @property
    def content(self) -> Content:
        """All that is in it, as a process that reads it has that too; none of what is in no format of checkpoints."""
        return self.file.begun.fingerprints if isinstance(self.file.begun, Save) else {}

    @property
    def digests(self) -> Mapping[str, str]:
        """Of each part that is saved, by its key."""
        return {} if isinstance(self.file.begun, Rename) else self.file.begun.content

    @property
    def figures(self) -> Mapping[str, Figure]:
        """Numbers in it, by key path."""
        return {} if isinstance(self.file.begun, Rename) else self.file.begun.figures

    @property
    def parameters(self) -> str | None:
        """Digest of those that the rank had, as its steps have it; None where that is not known."""
        quick = None if self.state is None else self.state.quick.get("parameters")
        return None if quick is None else quick.whole + quick.part


def series_of(path: str) -> str:
    """Name of the series: `step-15.ckpt` and `step-20.ckpt` are of one, and names by hashes; `best.pt` is not.

    Nothing but its name says of a file which others the job would load in its place.
    """
    return _NUMBERS.sub("#", path)


def saved_by(trajectory: Trajectory, first_step: int, *, num_carried: int = 0, scenario: str = "") -> tuple[Saved, ...]:
    """What one process saved, or began to, in the order of its begins; a file written again stands there again.

    Args:
        trajectory: What it trained on.
        first_step: Steps done since training began when it started to train.
        num_carried: Batches whose gradients it had from a checkpoint.
        scenario: Name of the folder of its scenario.
    """
    process = trajectory.process
    files = sorted(files_in(process.events), key=lambda file: file.begin)
    states = {record.sequence: record for record in process.events if isinstance(record, State)}
    last_begun = {
        series_of(file.first_path): file.begin
        for file in files
        if not (file.writer == "loop" and isinstance(file.begun, Rename))
    }
    last_deed, last_of_course = _last_deed(process), _last_of_course(trajectory)
    open_ = _open(process, files)
    saved: list[Saved] = []
    begun_next: dict[str, int] = {}
    for file in reversed(files):
        is_thread = file.writer == "thread"
        own_step = first_step + trajectory.num_steps_before(file.begun.sequence)
        last = last_deed if file.writer == "loop" else last_begun[series_of(file.first_path)]
        saved.append(
            Saved(
                process=process,
                file=file,
                path=file.path,
                name=within(_name(file, trajectory, begun_next.get(file.first_path, len(process.records))), scenario),
                first_name=within(file.first_path, scenario),
                own_step=own_step,
                step=own_step,
                earliest_step=first_step if is_thread else own_step,
                state=None if is_thread else states.get(file.begun.sequence - 1),
                num_accumulated=_num_open(trajectory, file.begun.sequence, num_carried),
                is_settled=file.ended is not None and file.ended.sequence < last,
                is_of_course=file.begin < last_of_course,
                is_open=open_.get(file.first_path) is file,
                is_half_overwritten=file.ended is not None and file.path in open_,
                removed_before=process.incarnation + 1 if file.is_removed else None,
            )
        )
        begun_next[file.first_path] = file.begin
    return tuple(reversed(saved))


def is_within(file: str, checkpoint: str) -> bool:
    """Whether a file is the checkpoint, or lies in it where that is a folder."""
    return PurePath(file).is_relative_to(checkpoint)


def within(path: str, scenario: str) -> str:
    """The path within a scenario's folder, wherever that lay when it was recorded; one that lies elsewhere as it is.

    It is told by the name of the innermost folder that is called so: paths are compared between the runs of one job, which
    begin alike.
    """
    _, found, inside = path.rpartition(f"/{scenario}/")
    return inside if found else path


def _name(file: File, trajectory: Trajectory, begun_next: int) -> str:
    """What is moved after a step, or after the next save of this name, is an older copy that makes room for the next one."""
    num_steps = trajectory.num_steps_before(file.begin)
    names = [
        path
        for sequence, path in file.moves
        if sequence < begun_next and (file.writer != "loop" or trajectory.num_steps_before(sequence) == num_steps)
    ]
    return [file.first_path, *names][-1]


def _open(process: Process, files: Iterable[File]) -> dict[str, File]:
    """What a process left so under the name by which it is loaded: what is renamed first is not there yet."""
    last = {file.first_path: file for file in files if not isinstance(file.begun, Rename)}
    temporary = {record.source for record in process.events if isinstance(record, Rename)}
    return {path: file for path, file in last.items() if path and file.ended is None and path not in temporary}


def _last_deed(process: Process) -> int:
    """Line (`sequence`) of the last thing that a process did by itself."""
    faults = {record.sequence for record in process.events if isinstance(record, FaultFired)}
    return next(number for number in reversed(range(len(process.records))) if number not in faults)


def _last_of_course(trajectory: Trajectory) -> float:
    """Line (`sequence`) from which on nobody knows what a process would have gone on to do."""
    process = trajectory.process
    last_step = max(trajectory.steps.column("lines"), default=0) - 1
    notices = [r.sequence for r in process.events if isinstance(r, FaultFired) and r.kind in NOTICES]
    return min([process.records[-1].sequence if process.has_ended_well else last_step, *notices])


def _num_open(trajectory: Trajectory, sequence: int, num_carried: int) -> int:
    """Batches that had had their backward pass and whose step was still to come, when a record was written."""
    step = trajectory.num_steps_before(sequence)
    is_done = step < len(trajectory.steps)
    batches = trajectory.steps[step].batches if is_done else trajectory.unfinished
    num_own = sum(batch.backward_line is not None and batch.backward_line <= sequence for batch in batches)
    return num_own + (num_carried if step == 0 else 0)
