"""A sweep goes on where it was interrupted: the run directory says what it is, not the arguments."""

from __future__ import annotations

import argparse
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from resumable.launch.cli.parser import parse
from resumable.launch.errors import LaunchError, UsageError
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Plan
from resumable.launch.plan.planner import make_plan
from resumable.launch.run.setup import create_run_dir
from resumable.launch.sweep.points import without_points

_OF_ONE_CALL = ("run_dir", "log_dir", "jobs", "budget", "cold", "quiet", "html", "junit", "json", "markdown", "strict")
"""Arguments that do not say what is swept: they may differ from call to call."""

_MAX_TOLD = 3


def open_sweep(arguments: argparse.Namespace) -> tuple[Plan, RunDir]:
    """The plan that is stored in `--run-dir`, if it is that of the arguments or there are none; else a new one.

    Raises:
        UsageError: the directory holds another sweep; the message says what differs.
        LaunchError: it holds something else, or cannot be written.
    """
    stored = _stored(arguments)
    if stored is None:
        plan = make_plan(arguments)
        return plan, create_run_dir(arguments, plan)
    if not _says_nothing(arguments):
        differences = list(_differences(without_points(stored), make_plan(arguments)))
        if differences:
            raise UsageError(
                f"--run-dir {arguments.run_dir}: holds another sweep; {'; '.join(differences[:_MAX_TOLD])}. "
                "Name a new folder, or leave the arguments out to go on with this one"
            )
    return stored, RunDir(root=Path(arguments.run_dir).absolute())


@contextmanager
def alone_in(run_dir: RunDir) -> Iterator[None]:
    """Keep other sweeps out of the run directory.

    Raises:
        UsageError: one is at work there.
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
            raise UsageError(f"--run-dir {run_dir.root}: another sweep is at work there") from error
        yield


def _stored(arguments: argparse.Namespace) -> Plan | None:
    run_dir = RunDir(root=Path(arguments.run_dir or ""))
    try:
        is_there = arguments.run_dir is not None and run_dir.plan_file.exists()
    except OSError:  # who makes the folder says it with the name of the flag
        return None
    if not is_there:
        return None
    plan = run_dir.read_plan()
    return plan if plan.sweep is not None else None


def _says_nothing(arguments: argparse.Namespace) -> bool:
    """Whether the arguments leave open what is swept."""
    return _what(arguments) == _what(parse(["sweep"]))


def _what(arguments: argparse.Namespace) -> dict[str, object]:
    return {name: value for name, value in vars(arguments).items() if name not in _OF_ONE_CALL}


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
