"""Turns arguments into a plan: every check of the input and every draw happens here, before anything starts."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from launch import torchrun
from launch.errors import ScriptNotFoundError, UsageError
from launch.faults import Fault, num_restarts, parse_fault, resolve
from launch.plan import Plan, Scenario, Script

BUILT_IN_JOB = "launch.jobs.digits"
_BUILT_IN_PRELOAD = ("sklearn.datasets", "sklearn.model_selection", "samplers")
_BUILT_IN_FAULTS = ("sigkill@step=7:rank=any", "sigkill@epoch=2,batch=3:rank=any")
_DEFAULT_FAULTS = ("sigkill@step=7:rank=any",)
_LOG_TO_FILE_AND_CONSOLE = "3"


def make_plan(arguments: argparse.Namespace) -> Plan:
    """The plan of a `run` or `verify`.

    Raises:
        UsageError: something in the arguments cannot be done; the message names it and what would do.
    """
    script = _script(arguments)
    nproc_per_node = _nproc_per_node(arguments)
    _, max_nodes = _num_nodes(arguments.nnodes)
    faults = _faults(arguments, world_size=max_nodes * nproc_per_node)
    flags = torchrun.flags_of(arguments)
    if arguments.command == "verify":
        _refuse_foreign_rendezvous(arguments)
        flags["redirects"] = _LOG_TO_FILE_AND_CONSOLE
    elif flags["redirects"] == flags["tee"] == "0":
        flags["tee"] = _LOG_TO_FILE_AND_CONSOLE
    return Plan(
        command=arguments.command,
        script=script,
        torchrun=flags,
        scenarios=_scenarios(arguments, faults, nproc_per_node),
        seed=arguments.seed,
        start_method=arguments.start_method,
        preload=(*arguments.preload, *(_BUILT_IN_PRELOAD if script.path == BUILT_IN_JOB else ())),
        fresh_directory=arguments.command == "verify",
    )


def _script(arguments: argparse.Namespace) -> Script:
    path, rest = arguments.training_script, tuple(arguments.training_script_args)
    if path is None:
        if arguments.command == "run":
            raise UsageError("run: no script given; usage: resumable run [torchrun flags] SCRIPT ARGS")
        backend = ("--backend", arguments.backend) if arguments.backend else ()
        return Script(path=BUILT_IN_JOB, arguments=backend, is_module=True)
    if arguments.backend:
        raise UsageError(f"--backend {arguments.backend} is for the built-in job; {path} chooses its own")
    if arguments.no_python and arguments.module:
        raise UsageError("--no-python and --module exclude each other")
    if arguments.module:
        return _module(path, rest)
    if arguments.no_python:
        return Script(path=path, arguments=rest, is_program=True)
    file = Path(path).absolute()
    if not file.is_file():
        reason = "is a folder" if file.is_dir() else "does not exist"
        raise ScriptNotFoundError(f"script {path!r} {reason}")
    return Script(path=str(file), arguments=rest)


def _module(name: str, arguments: tuple[str, ...]) -> Script:
    top = name.partition(".")[0]
    if importlib.util.find_spec(top) is None and not (Path(top).is_dir() or Path(f"{top}.py").is_file()):
        raise ScriptNotFoundError(f"module {name!r} is not installed and not in this folder")
    return Script(path=name, arguments=arguments, is_module=True)


def _nproc_per_node(arguments: argparse.Namespace) -> int:
    text = str(arguments.nproc_per_node)
    try:
        number = torchrun.num_ranks(text)
    except ValueError as error:
        raise UsageError(f"--nproc-per-node {text}: {error}") from error
    if number < 1:
        raise UsageError(f"--nproc-per-node {text}: a node needs at least one rank")
    return number


def _num_nodes(text: str) -> tuple[int, int]:
    low, _, high = text.partition(":")
    try:
        numbers = int(low), int(high or low)
    except ValueError:
        raise UsageError(f"--nnodes {text}: expected N or MIN:MAX") from None
    if not 1 <= numbers[0] <= numbers[1]:
        raise UsageError(f"--nnodes {text}: expected 1 <= MIN <= MAX")
    return numbers


def _faults(arguments: argparse.Namespace, *, world_size: int) -> tuple[Fault, ...]:
    texts = arguments.fault
    if not texts and arguments.command == "verify":
        texts = _BUILT_IN_FAULTS if arguments.training_script is None else _DEFAULT_FAULTS
    return resolve([parse_fault(text) for text in texts], world_size=world_size, seed=arguments.seed)


def _refuse_foreign_rendezvous(arguments: argparse.Namespace) -> None:
    if arguments.rdzv_endpoint:
        raise UsageError(
            f"verify: --rdzv-endpoint {arguments.rdzv_endpoint} is for `resumable run`; verify starts all its nodes itself"
        )


def _scenarios(arguments: argparse.Namespace, faults: tuple[Fault, ...], nproc_per_node: int) -> tuple[Scenario, ...]:
    needed = num_restarts(faults)
    max_restarts = needed if arguments.max_restarts is None else int(arguments.max_restarts)
    if max_restarts < 0:
        raise UsageError(f"--max-restarts {max_restarts}: expected 0 or more")
    after = arguments.restart_nproc_per_node
    if after is not None and (arguments.restart != "job" or after < 1):
        raise UsageError(f"--restart-nproc-per-node {after}: expected --restart job and at least one rank")
    starts = (nproc_per_node,)
    if arguments.restart == "job":
        starts += (after or nproc_per_node,) * max_restarts
    faulted = Scenario(
        name="faulted" if arguments.command == "verify" else "run",
        faults=faults,
        restart=arguments.restart,
        max_restarts=max_restarts,
        nproc_per_start=starts,
    )
    if arguments.command == "run":
        return (faulted,)
    references = (Scenario(name=f"reference-{number}", nproc_per_start=(nproc_per_node,)) for number in (1, 2))
    return (*references, faulted)
