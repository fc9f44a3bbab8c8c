"""The evidence of one scenario, read back and merged.

Reading never fails: what is missing or damaged becomes a `Damage` entry, and a history with damage proves nothing. Two
things are no damage. The last line of a file may be torn, because a process that was killed stops anywhere. And a rank
may leave no line at all if it was killed before its first one, as long as its whole group had not trained a step yet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from resumable.launch.evidence.history import Damage, History, Process, is_event
from resumable.launch.evidence.lines import Lines
from resumable.launch.evidence.node_records import (
    NodeEnded,
    NodeFaultActed,
    NodeRecord,
    RankEnded,
    RankHung,
    RoundStarted,
    Sealed,
    decode_node_line,
)
from resumable.launch.evidence.rank_records import (
    FORMAT_VERSION,
    AnyRecord,
    FaultFired,
    Start,
    decode_line,
)
from resumable.launch.evidence.recorded_text import texts_in
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.evidence.seal import broken_seals
from resumable.launch.evidence.worker_groups import (
    ends_of,
    in_order,
    of_training,
    overlaps,
    overlaps_by_clock,
    with_numbers,
)

_R = TypeVar("_R")


def read_history(scenario: ScenarioDir, *parts: ScenarioDir, until: int | None = None) -> History:
    """The evidence of one scenario; whatever is wrong with it stands in `History.damage`.

    Args:
        scenario: Its folder.
        parts: More folders of the same: what somebody else started may have left one on every host, or one an attempt.
            An attempt that ended before any of its ranks had begun has left none.
        until: The last worker group that is meant, where a later one may still write; None: it is all over.
    """
    name = scenario.root.name
    left = [part for part in (scenario, *parts) if part.root.is_dir()]
    if not left:
        return History(name=name, damage=(Damage(path=name, what="the scenario was not run"),))
    scenario, *others = left
    damage: list[Damage] = []
    marks = scenario.fired_faults()  # before the lines are read: they are older than the marks
    processes = list(_read_processes(scenario, damage))
    said, has_links = _read_nodes(scenario, damage)
    folders = [[record for record in said if isinstance(record, RoundStarted)]]
    for part in others:
        processes.extend(_read_processes(part, damage, path=f"{part.root.parent.name}/"))
        folders.append([record for record in _read_nodes(part, damage)[0] if isinstance(record, RoundStarted)])
    seals = [record for record in said if isinstance(record, Sealed)]
    damage.extend(_unsealed(scenario, seals))
    rank_ends = [record for record in said if isinstance(record, RankEnded)]
    ends = [record for record in said if isinstance(record, NodeEnded)]
    rounds = in_order(folders) or folders[0]
    if rounds and rounds[0].group:
        rounds = of_training(rounds, processes)
        processes, orphans = with_numbers(processes, rounds)
        damage.extend(Damage(path=file, what=what) for file, what in orphans)
        beside = overlaps(processes) or overlaps_by_clock(rounds, processes)
        damage.extend(Damage(path=file, line=line, what=what) for file, line, what in beside)
        ends = ends or ends_of(rounds, processes)
    damage.extend(_unsaid_faults(scenario, processes, marks))
    hangs = [record for record in said if isinstance(record, RankHung)]
    if until is not None:
        processes = [process for process in processes if process.incarnation <= until]
        rounds = [round_ for round_ in rounds if round_.incarnation <= until]
        rank_ends = [end for end in rank_ends if end.incarnation <= until]
        hangs = [hang for hang in hangs if hang.incarnation <= until]
        ends = []
    damage.extend(_inconsistencies(name, processes, rounds))
    damage.extend(_unsaid_ends(name, processes, rank_ends))
    return History(
        name=name,
        processes=tuple(sorted(processes, key=lambda process: (process.incarnation, process.rank))),
        rounds=tuple(sorted(rounds, key=lambda round_: (round_.incarnation, round_.node))),
        ends=tuple(ends),
        rank_ends=tuple(rank_ends),
        acts=tuple(record for record in said if isinstance(record, NodeFaultActed)),
        hangs=tuple(hangs),
        logs=frozenset(str(path.relative_to(scenario.logs)) for path in scenario.logs.glob("*/*")),
        is_sealed=bool(seals) or not has_links,
        damage=tuple(damage),
    )


def _read_processes(scenario: ScenarioDir, damage: list[Damage], *, path: str = "") -> Iterator[Process]:
    """What each process of a folder wrote; `path` stands before the names of files."""
    for file_path in texts_in(scenario.events):
        file = path + _relative(scenario, file_path)
        events: list[AnyRecord] = []
        records = _read_lines(file_path, file, decode_line, partial(_noted, events), damage)
        if not records:
            continue  # killed before its first line was whole: as if the process had never been
        start = records[0]
        if not isinstance(start, Start):
            damage.append(Damage(path=file, line=1, what="the file does not begin with a start line"))
            continue
        if start.format != FORMAT_VERSION:
            what = f"format={start.format} of a different release; this one reads {FORMAT_VERSION}"
            damage.append(Damage(path=file, line=1, what=what))
            continue
        yield Process(file=file, start=start, records=records, noted=tuple(events), is_torn=records.is_torn)


def _noted(events: list[AnyRecord], number: int, record: AnyRecord) -> str:
    """What is wrong with the place of a record, or "": then it is put among the events, if it is one."""
    if record.sequence != number:
        return f"expected sequence={number}, found {record.sequence}: lines are missing"
    if is_event(record):
        events.append(record)
    return ""


def _read_nodes(scenario: ScenarioDir, damage: list[Damage]) -> tuple[list[NodeRecord], bool]:
    """What nodes and supervisor say, and whether a node's lines have links."""
    said: list[NodeRecord] = []
    has_links = False
    for path in texts_in(scenario.nodes):
        lines = _read_lines(path, _relative(scenario, path), decode_node_line, _any_place, damage)
        said.extend(lines)
        has_links = has_links or lines.has_links
    return said, has_links


def _any_place(_number: int, _record: NodeRecord) -> str:
    """The lines of nodes have no numbers."""
    return ""


def _unsealed(scenario: ScenarioDir, seals: Sequence[Sealed]) -> Iterator[Damage]:
    """Files that do not end as they did when the scenario was over."""
    for sealed in seals:
        for file, what in broken_seals(scenario, sealed):
            yield Damage(path=_relative(scenario, Path(os.path.normpath(scenario.root / file))), what=what)


def _read_lines(
    path: Path, file: str, decode: Callable[[bytes], _R], note: Callable[[int, _R], str], damage: list[Damage]
) -> Lines[_R]:
    """The records up to the first that cannot be read."""
    lines = Lines(path, decode)
    try:
        lines.read(note)
    except OSError as error:
        damage.append(Damage(path=file, what=f"cannot be read: {error.strerror}"))
    if lines.flaw is not None:
        number, what = lines.flaw
        damage.append(Damage(path=file, line=number, what=what))
    return lines


def _inconsistencies(name: str, processes: Sequence[Process], rounds: Sequence[RoundStarted]) -> Iterator[Damage]:
    """What the files of a scenario, each good in itself, tell against each other."""
    if not rounds:
        yield Damage(path=f"{name}/nodes", what="no node announced a worker group")
    announced = {(round_.incarnation, rank) for round_ in rounds for rank in round_.ranks}
    sizes = {round_.incarnation: round_.world_size for round_ in rounds}
    seen: dict[tuple[int, int], str] = {}
    for process in processes:
        key = (process.incarnation, process.rank)
        if key in seen:
            is_copy = Path(process.file).name == Path(seen[key]).name
            what = f"rank {process.rank} of incarnation {process.incarnation} also wrote {seen[key]}"
            what += ": a folder and its copy?" if is_copy else ""
            yield Damage(path=process.file, what=what)
        elif key not in announced:
            yield Damage(path=process.file, what="no node announced this rank")
        elif process.start.world_size != sizes[process.incarnation]:
            what = f"world_size={process.start.world_size}, its node announced {sizes[process.incarnation]}"
            yield Damage(path=process.file, line=1, what=what)
        seen[key] = process.file
    yield from _missing(name, processes, announced - seen.keys())


def _missing(name: str, processes: Sequence[Process], missing: Collection[tuple[int, int]]) -> Iterator[Damage]:
    """Ranks without a line. Ranks train in step, so one of a group that has trained was not killed before its first."""
    trained = {process.incarnation for process in processes if process.has_trained}
    for incarnation, rank in sorted(missing):
        if incarnation in trained:
            what = f"nothing from rank {rank} of incarnation {incarnation}, whose group trained"
            yield Damage(path=f"{name}/events", what=what)


def _unsaid_ends(name: str, processes: Sequence[Process], rank_ends: Sequence[RankEnded]) -> Iterator[Damage]:
    """Ranks that left in order, as their node saw it: only those that were killed lack their last lines, or all of them."""
    by_rank = {(process.incarnation, process.rank, process.start.pid): process for process in processes}
    for end in rank_ends:
        process = by_rank.get((end.incarnation, end.rank, end.pid))
        if end.exit_code == 0 and (process is None or process.exit is None):
            what = (
                f"rank {end.rank} of incarnation {end.incarnation} left with exit code 0, and its last line is missing"
            )
            yield Damage(path=process.file if process else f"{name}/events", what=what)


def _unsaid_faults(scenario: ScenarioDir, processes: Sequence[Process], marks: Sequence[int]) -> Iterator[Damage]:
    """Faults that left their mark, which a rank sets once its line about the fault is on the disk."""
    said = {r.fault for process in processes for r in process.events if isinstance(r, FaultFired)}
    for fault in marks:
        if fault not in said:
            mark = _relative(scenario, scenario.fired / str(fault))
            yield Damage(path=mark, what="this fault fired, and no rank's evidence says so")


def _relative(scenario: ScenarioDir, path: Path) -> str:
    return str(path.relative_to(scenario.root.parent))
