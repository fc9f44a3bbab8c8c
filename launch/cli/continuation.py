"""A sweep goes on where it was interrupted: the run directory says what it is, not the arguments."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from resumable.launch.cli.options import job_options
from resumable.launch.cli.parser import parse
from resumable.launch.errors import LaunchError, UsageError
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.options import JobOptions
from resumable.launch.plan.plan import Plan
from resumable.launch.plan.planner import make_plan
from resumable.launch.run.setup import create_run_dir
from resumable.launch.sweep.points import without_points

_MAX_SHOWN = 3


def open_sweep(options: JobOptions, *, run_dir: str | None, log_dir: str | None = None) -> tuple[Plan, RunDir]:
    """The plan that is stored in a run directory, if it is what the options ask for or they ask for nothing; else a new one.

    Args:
        options: What is to be swept.
        run_dir: The run directory; None: one with a fresh name.
        log_dir: Where that one is made.

    Raises:
        UsageError: the directory holds a different sweep; the message says what differs.
        LaunchError: it holds something else, or cannot be written.
    """
    stored = None if run_dir is None else _stored(RunDir(root=Path(run_dir)))
    if run_dir is None or stored is None:
        plan = make_plan(options)
        return plan, create_run_dir(plan, run_dir=run_dir, log_dir=log_dir)
    if options != job_options(parse(["sweep"])):
        differences = list(_differences(without_points(stored), make_plan(options)))
        if differences:
            raise UsageError(
                f"--run-dir {run_dir}: holds a different sweep; {'; '.join(differences[:_MAX_SHOWN])}. "
                "Name a new folder, or leave the arguments out to go on with this one"
            )
    return stored, RunDir(root=Path(run_dir).absolute())


@contextmanager
def alone_in(run_dir: RunDir) -> Iterator[None]:
    """Keep further sweeps out of the run directory.

    Raises:
        UsageError: one is running there.
        LaunchError: it cannot be written.
    """
    try:
        lock = (run_dir.root / "lock").open("ab")
    except OSError as error:
        raise LaunchError(f"--run-dir {run_dir.root}: cannot be written ({error.strerror})") from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"--run-dir {run_dir.root}: a different sweep is running there") from error
        yield


def _stored(run_dir: RunDir) -> Plan | None:
    """The plan of the sweep that lies there; None if there is none."""
    try:
        is_there = run_dir.plan_file.exists()
    except OSError:  # who makes the folder says it with the name of the flag
        return None
    plan = run_dir.read_plan() if is_there else None
    return plan if plan is not None and plan.sweep is not None else None


def _differences(stored: object, asked: object, path: str = "") -> Iterator[str]:
    """Each field that differs, with both values."""
    left, right = (_fields(value) for value in (stored, asked))
    if left is None or right is None or left.keys() != right.keys():
        if stored != asked:
            yield f"{path}={stored!r} there, {asked!r} here"
        return
    for name in left:
        yield from _differences(left[name], right[name], f"{path}.{name}" if path else name)


def _fields(value: object) -> dict[str, object] | None:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, tuple) and any(isinstance(item, msgspec.Struct) for item in value):
        return {str(number): item for number, item in enumerate(value)}
    return value if isinstance(value, dict) else None
