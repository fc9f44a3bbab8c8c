"""Every save of a run, under the name that it was put in place by, at its step of the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.rank_records import Dump, FaultFired, Figure, Load, Rename, Save, Writer
from resumable.launch.plan.fault_kinds import NOTICES
from resumable.launch.reading.failures import has_ended_well
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.saves import Content
from resumable.launch.reading.trajectory import Trajectory


class Artefact(msgspec.Struct, frozen=True, kw_only=True):
    """One save of one process."""

    path: str
    """Within the folder of its scenario, if it lies there: the same in every run."""
    first_path: str
    """Under which its writing began."""
    step: int
    """Steps done since training began, when it was begun."""
    line: int
    """Where that stands in the evidence of its process, from 1."""
    content: Mapping[str, str]
    """Digest of each part, by its key."""
    figures: Mapping[str, Figure]
    """Numbers in it, by key path."""
    fingerprints: Content
    """Of all that is saved, as a process that reads it has them too; none of a dump."""
    writer: Writer
    is_checkpoint: bool
    """Of a format of checkpoints; anything else may be written whenever a process begins."""
    is_finished: bool
    is_of_course: bool
    """Its process trained on or ended well afterwards, and had no notice before that it will be ended: it is no
    emergency's."""


def artefacts_of(life: Life, scenario: str) -> tuple[Artefact, ...]:
    """All saves that a process began, in their order; what was never put into a file is left out."""
    process = life.process
    last_step = max(life.trajectory.steps.column("lines"), default=0) - 1
    last = process.records[-1].sequence if has_ended_well(process) else last_step
    notices = (r.sequence for r in process.events if isinstance(r, FaultFired) and r.kind in NOTICES)
    notice = min(notices, default=float("inf"))
    return tuple(
        Artefact(
            path=within(one.name, scenario),
            first_path=within(one.begin.path, scenario),
            step=life.first_step + one.num_steps,
            line=one.begin.sequence + 1,
            content=one.begin.content,
            figures=one.begin.figures,
            fingerprints=one.begin.fingerprints if isinstance(one.begin, Save) else {},
            writer=one.begin.writer,
            is_checkpoint=isinstance(one.begin, Save),
            is_finished=one.is_finished,
            is_of_course=one.begin.sequence < min(last, notice),
        )
        for one in _saves_in(life.trajectory)
        if one.name
    )


def loaded_paths(run: Run) -> frozenset[str]:
    """Files that any process went on from, within the folder of the scenario."""
    return frozenset(within(path, run.history.folder) for life in run.lives for path in life.trajectory.loaded if path)


def read_whole(run: Run) -> frozenset[tuple[str, frozenset[tuple[str, Fingerprint]]]]:
    """Path and fingerprints of all that processes read before they trained."""
    return frozenset(
        (within(load.path, run.history.folder), frozenset(load.fingerprints.items()))
        for life in run.lives
        for load in life.process.events
        if isinstance(load, Load) and life.trajectory.precedes_training(load)
    )


def within(path: str, scenario: str) -> str:
    """The path within a scenario's folder, wherever that lay when it was recorded; one that lies elsewhere as it is.

    It is told by the name of the innermost folder that is called so: paths are compared between the runs of one job, which
    begin alike.
    """
    _, found, inside = path.rpartition(f"/{scenario}/")
    return inside if found else path


@dataclass(eq=False)
class _Saving:
    """A save and what has become of it by now."""

    begin: Save | Dump
    name: str
    num_steps: int
    """Steps that its process had done when it was begun."""
    is_finished: bool = False


def _saves_in(trajectory: Trajectory) -> list[_Saving]:
    """The saves of one process."""
    saves: list[_Saving] = []
    movable: list[_Saving] = []
    """Those that may still be put elsewhere: what is moved after a step, or after the next save, is an older copy that makes
    room for the next one."""
    for record in trajectory.process.events:
        num_steps = trajectory.num_steps_before(record.sequence)
        match record:
            case Save(phase="begin") | Dump(phase="begin"):
                movable = [save for save in movable if save.begin.path != record.path]
                movable.append(_Saving(begin=record, name=record.path, num_steps=num_steps))
                saves.append(movable[-1])
            case Save() | Dump():
                for save in [save for save in movable if save.begin.path == record.path]:
                    save.is_finished = True
            case Rename():
                movable = [save for save in movable if save.begin.writer != "loop" or save.num_steps == num_steps]
                _move(movable, record)
    return saves


def _move(saves: list[_Saving], rename: Rename) -> None:
    """Give a save its new name: the file itself, or all in a folder, or what was saved to a buffer last."""
    named = [save for save in saves if save.name == rename.source or save.name.startswith(f"{rename.source}/")]
    for save in named:
        save.name = rename.target + save.name[len(rename.source) :]
    for save in [] if named else [save for save in saves if not save.name][-1:]:
        save.name = rename.target
