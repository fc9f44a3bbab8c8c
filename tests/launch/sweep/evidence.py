"""A sweep of two points in a run directory, with whatever evidence."""

from __future__ import annotations

from pathlib import Path

import msgspec

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Plan
from resumable.launch.reading.evidence import Evidence
from tests.launch.report import samples
from tests.launch.sweep.sweeps import drawn

PLAN = drawn(at="4", ranks="0-1")
GOOD, BAD = sorted(PLAN.points, key=lambda point: point.name)


def plan() -> Plan:
    """Rank 1 is the one that was killed in both."""
    points = tuple(msgspec.structs.replace(point, faults=BAD.faults) for point in (GOOD, BAD))
    return msgspec.structs.replace(PLAN, scenarios=(*PLAN.references, *points))


def store(evidence: Evidence, root: Path, name: str) -> RunDir:
    """The evidence as that of a scenario with this name, and the plan of the sweep."""
    history = evidence.faulted.history
    processes = [msgspec.structs.replace(p, file=p.file.replace("faulted", name)) for p in history.processes]
    renamed = msgspec.structs.replace(history, name=name, processes=tuple(processes))
    faulted = msgspec.structs.replace(evidence.faulted, history=renamed)
    return samples.stored(msgspec.structs.replace(evidence, plan=plan(), faulted=faulted), root)
