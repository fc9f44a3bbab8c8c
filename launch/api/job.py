"""What a `Launcher` runs: a function, a script or the built-in job."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from resumable.launch.plan.fault_model import FaultRequest
from resumable.launch.plan.plan import Script
from resumable.launch.plan.scripts import built_in_job, refuse_missing_data, script_file

Job = Callable[..., object] | str | os.PathLike[str]
Faults = FaultRequest | str | Sequence[FaultRequest | str]


def script_of(job: Job | None, arguments: Sequence[object], folder: Path) -> Script:
    """What every rank runs; the call of a function is still to be written, into the run's folder."""
    words = tuple(map(str, arguments))
    if job is None:
        refuse_missing_data()
        return built_in_job(*words)
    if callable(job):
        return Script(path=str(folder / "call.pkl"), is_function=True)
    return script_file(job, words)
