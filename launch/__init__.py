"""Runs training jobs, breaks them on purpose, and proves that they resume exactly.

`Launcher` starts a function or a script on several ranks, with `Fault`s where wanted, and returns a `JobResult`: the
`History` of what every rank recorded, and a `RankResult` for each. Comparing results gives a `Verdict`, whose `Outcome` is
VALID, INVALID or UNKNOWN.

    from resumable.launch import Fault, Launcher

    with Launcher(nproc_per_node=2) as launcher:
        verdict = launcher.verify("train.py", faults=Fault.sigkill(rank=1, step=7))
    assert verdict, verdict.reason
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resumable.launch.api.fault import Fault
    from resumable.launch.api.job_result import JobResult, RankResult
    from resumable.launch.api.launcher import Launcher
    from resumable.launch.api.verdict import Verdict
    from resumable.launch.evidence.history import History
    from resumable.launch.explain.outcome import Outcome

__all__ = ["Fault", "History", "JobResult", "Launcher", "Outcome", "RankResult", "Verdict"]

_MODULES = {
    "Fault": "resumable.launch.api.fault",
    "History": "resumable.launch.evidence.history",
    "JobResult": "resumable.launch.api.job_result",
    "Launcher": "resumable.launch.api.launcher",
    "Outcome": "resumable.launch.explain.outcome",
    "RankResult": "resumable.launch.api.job_result",
    "Verdict": "resumable.launch.api.verdict",
}


def __getattr__(name: str) -> object:
    """Import what is asked for: a rank imports this package too, and needs none of it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
