"""Uninterrupted runs that several processes compare with: whoever comes first makes them, and all others copy them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import platform
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Self

import msgspec

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Plan, Script
from resumable.launch.system.environment import cache_folder

_COPIED = ("events", "nodes", "logs", "fired")
"""What a check reads of a scenario; what the job wrote stays where it was made."""
_SUCCEEDED = "succeeded"


class Provided(msgspec.Struct, frozen=True, kw_only=True):
    """References that lie in a run directory."""

    have_succeeded: bool
    """All of them ended well."""
    were_kept: bool
    """They were made before, for somebody else."""


class KeptReferences:
    """References in a folder that several processes see.

    They are found by what the plan says of the job, and by the script's content. Data, modules that a script imports, and
    environment variables are not known.

    Args:
        folder: Theirs alone; made where it is missing.
        surroundings: What else makes one job a different one.
    """

    def __init__(self, folder: Path, *, surroundings: str = "") -> None:
        self._folder = folder
        self._surroundings = surroundings

    @classmethod
    def of_user(cls) -> Self:
        """Those that outlive a command: on this machine, with these versions of Python and of all that is installed."""
        return cls(cache_folder() / "references", surroundings="\n".join(_versions()))

    def provide(self, plan: Plan, run_dir: RunDir, run: Callable[[], bool]) -> Provided:
        """Put the references of a plan into its run directory.

        Args:
            plan: Its references are the same for all whose job, arguments and flags are.
            run_dir: Gets them.
            run: Makes them there, where nobody has; True if all ended well.

        Raises:
            OSError: the folder cannot be read or written.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone(plan) as kept:
            if kept.exists():
                _copy(plan, RunDir(root=kept), run_dir)
                return Provided(have_succeeded=(kept / _SUCCEEDED).exists(), were_kept=True)
            has_succeeded = run()
            draft = kept.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            _copy(plan, run_dir, RunDir(root=draft))
            if has_succeeded:
                (draft / _SUCCEEDED).touch()
            draft.rename(kept)
            return Provided(have_succeeded=has_succeeded, were_kept=False)

    def forget(self, plan: Plan, run_dir: RunDir) -> None:
        """Remove the references of a plan, from its run directory too.

        Raises:
            OSError: they cannot be removed.
        """
        with self._alone(plan) as kept:
            if kept.exists():
                shutil.rmtree(kept)
        for reference in plan.references:
            shutil.rmtree(run_dir.scenario(reference.name).root)

    @contextlib.contextmanager
    def _alone(self, plan: Plan) -> Iterator[Path]:
        """Where these references are kept, while nobody else looks."""
        kept = self._folder / _key(plan, self._surroundings)
        with kept.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield kept


def _key(plan: Plan, surroundings: str) -> str:
    """The same for plans whose references do the same."""
    known = msgspec.structs.replace(
        plan,
        scenarios=plan.references,
        script=msgspec.structs.replace(plan.script, path="" if plan.script.is_function else plan.script.path),
    )
    return hashlib.sha256(msgspec.json.encode(known) + _content(plan.script) + surroundings.encode()).hexdigest()[:32]


def _content(script: Script) -> bytes:
    """Of the file; nothing where a module is named."""
    with contextlib.suppress(OSError):
        return Path(script.path).read_bytes()
    return b""


def _versions() -> Iterator[str]:
    yield platform.node()
    yield platform.python_version()
    yield from sorted(f"{found.name}=={found.version}" for found in distributions())


def _copy(plan: Plan, source: RunDir, target: RunDir) -> None:
    for reference in plan.references:
        for name in _COPIED:
            folder = source.scenario(reference.name).root / name
            if folder.is_dir():
                shutil.copytree(folder, target.scenario(reference.name).root / name, symlinks=True, dirs_exist_ok=True)
