"""Where the time of one point of a sweep goes, read from its evidence: all its clocks are this machine's monotonic one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.rank_records import Batch, FaultFired

Phases = dict[str, float]
"""Seconds by name, in order; their sum is the time from the end of the point before."""

BETWEEN = "judge the last point, ask for the next, meet"
FORK, SETUP, STEPS = "fork the ranks", "process group, data, model", "train"
NOTICE, CLOSE = "notice the death, end the others, meet again", "notice the end, clean up"


def phases_of(history: History, *, after_ns: int) -> Phases:
    """The phases of one point.

    Args:
        history: Of a point whose every incarnation trained.
        after_ns: When the point before it had ended.
    """
    begins = {round_.incarnation: round_.time_ns for round_ in history.rounds}
    phases: Phases = {BETWEEN: _seconds(after_ns, begins[0])}
    for incarnation in history.incarnations:
        group = history.group(incarnation)
        start = max(process.start.time_ns for process in group)
        batch = max(_first_batch_ns(process) for process in group)
        end = max(_end_ns(process) for process in group)
        faults = [time for process in group for time in _fault_ns(process)]
        life = f"{incarnation + 1}. life: "
        phases[life + FORK] = _seconds(begins[incarnation], start)
        phases[life + SETUP] = _seconds(start, batch)
        phases[life + STEPS] = _seconds(batch, min([end, *faults]))
        if incarnation + 1 in begins:
            phases[NOTICE] = _seconds(min([end, *faults]), begins[incarnation + 1])
        else:
            phases[CLOSE] = _seconds(end, end_ns(history))
    return phases


def end_ns(history: History) -> int:
    """When the last node said that it had ended."""
    return max(end.time_ns for end in history.ends)


def mean(phases: Sequence[Phases]) -> Phases:
    """The mean of each phase over several points with the same phases."""
    return {name: sum(point[name] for point in phases) / len(phases) for name in phases[0]}


def _first_batch_ns(process: Process) -> int:
    return next((record.time_ns for record in process.records if isinstance(record, Batch)), process.start.time_ns)


def _fault_ns(process: Process) -> Iterator[int]:
    return (record.time_ns for record in process.records if isinstance(record, FaultFired))


def _end_ns(process: Process) -> int:
    return process.records[-1].time_ns


def _seconds(begin_ns: int, end_ns: int) -> float:
    return (end_ns - begin_ns) / 1e9
