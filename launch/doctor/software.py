"""Is torch there, and new enough?"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from resumable.launch.doctor.finding import Finding, fail, ok
from resumable.launch.doctor.probe import Subject

OLDEST_TORCH = (2, 6)


def torch_version(_subject: Subject) -> Finding:
    """Which torch is installed?"""
    try:
        return judge_torch(version("torch"))
    except PackageNotFoundError:
        return judge_torch(None)


def judge_torch(installed: str | None) -> Finding:
    """Decide from the version; None if there is none."""
    oldest = ".".join(map(str, OLDEST_TORCH))
    fix = f"pip install 'torch>={oldest}'"
    if installed is None:
        return fail("torch", "torch is not installed here: reports can be made, jobs cannot run", fix)
    release = tuple(map(int, re.findall(r"\d+", installed)[:2]))
    if release < OLDEST_TORCH:
        return fail("torch", f"torch {installed} is older than {oldest}: its elastic agent is a different one", fix)
    return ok("torch", f"torch {installed}")
