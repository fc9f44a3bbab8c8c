"""Uninterrupted runs that several processes compare with: whoever comes first makes them, and all others copy them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Plan

_COPIED = ("events", "nodes", "logs", "fired")
"""What a check reads of a scenario; what the job wrote stays where it was made."""
_SUCCEEDED = "succeeded"


class SharedReferences:
    """References of one test, kept in a folder that all workers of a test run see.

    Args:
        folder: Theirs alone; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def provide(self, plan: Plan, run_dir: RunDir, run: Callable[[], bool]) -> bool:
        """Put the references of a plan into its run directory; True if all of them ended well.

        Args:
            plan: Its references are the same for all whose job, arguments and flags are.
            run_dir: Gets them.
            run: Makes them there, where nobody has; True if all ended well.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = self._folder / _key(plan)
        with kept.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if kept.exists():
                _copy(plan, RunDir(root=kept), run_dir)
                return (kept / _SUCCEEDED).exists()
            has_succeeded = run()
            draft = kept.with_suffix(".draft")
            _copy(plan, run_dir, RunDir(root=draft))
            if has_succeeded:
                (draft / _SUCCEEDED).touch()
            draft.rename(kept)
            return has_succeeded


def _key(plan: Plan) -> str:
    """The same for plans whose references do the same."""
    script = Path(plan.script.path)
    content = b""
    with contextlib.suppress(OSError):
        content = script.read_bytes()
    known = msgspec.structs.replace(
        plan,
        scenarios=plan.references,
        script=msgspec.structs.replace(plan.script, path="" if plan.script.is_function else plan.script.path),
    )
    return hashlib.sha256(msgspec.json.encode(known) + content).hexdigest()[:32]


def _copy(plan: Plan, source: RunDir, target: RunDir) -> None:
    for reference in plan.references:
        for name in _COPIED:
            folder = source.scenario(reference.name).root / name
            if folder.is_dir():
                shutil.copytree(folder, target.scenario(reference.name).root / name, symlinks=True, dirs_exist_ok=True)
