"""Turns arguments into a plan: every check of the input and every draw happens here, before anything starts."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from resumable.launch.errors import ScriptNotFoundError, UsageError
from resumable.launch.plan import torchrun_flags
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_kinds import FaultKind
from resumable.launch.plan.fault_model import FaultRequest, PlannedFault, resolve
from resumable.launch.plan.plan import Containers, Plan, Recording, RestartMethod, Restarts, Scenario, Script, SweepSpec
from resumable.launch.plan.sweep_words import example_faults, parse_at, parse_kinds, parse_ranks

BUILT_IN_JOB = "resumable.launch.jobs.digits"
_BUILT_IN_PRELOAD = ("sklearn.datasets", "resumable.samplers")
_BUILT_IN_FAULTS = ("sigkill@step=7:rank=any", "sigkill@epoch=2,batch=3:rank=any")
_DEFAULT_FAULTS = ("sigkill@step=7:rank=any",)
_LOG_TO_FILE_AND_CONSOLE = "3"
_HANG_TIMEOUT_S, _PLANNED_HANG_TIMEOUT_S, _BUILT_IN_HANG_TIMEOUT_S = 300.0, 30.0, 5.0
_GRACE_S = 5.0
_COMPOSE_NAME = "docker/compose.yaml"
_COMPOSE_FILE = Path(__file__).resolve().parents[2] / _COMPOSE_NAME


def make_plan(arguments: argparse.Namespace, *, script: Script | None = None) -> Plan:
    """The plan of a `run`, a `verify`, or a `sweep` whose points are not drawn yet.

    Args:
        arguments: What `resumable.launch.cli.parser.parse` gives.
        script: What every rank runs, where it is no script that the arguments name.

    Raises:
        UsageError: something in the arguments cannot be done; the message names it and what would do.
    """
    script = script or _script(arguments)
    nproc_per_node = _nproc_per_node(arguments)
    _, max_nodes = _num_nodes(arguments.nnodes)
    faults = _faults(arguments, num_nodes=max_nodes, nproc_per_node=nproc_per_node)
    restarts = _restarts(arguments, faults, nproc_per_node)
    flags = torchrun_flags.flags_of(arguments)
    is_proof = arguments.command != "run"
    if is_proof:
        _refuse_foreign_rendezvous(arguments)
        flags["redirects"] = _LOG_TO_FILE_AND_CONSOLE
    elif flags["redirects"] == flags["tee"] == "0":
        flags["tee"] = _LOG_TO_FILE_AND_CONSOLE
    return Plan(
        command=arguments.command,
        script=script,
        torchrun=flags,
        scenarios=_scenarios(arguments, faults, restarts, nproc_per_node),
        seed=arguments.seed,
        recording=_recording(arguments, faults),
        content=arguments.content,
        hang_timeout_s=_hang_timeout_s(arguments, faults),
        grace_s=_grace_s(arguments),
        preload=(*arguments.preload, *(_BUILT_IN_PRELOAD if script.path == BUILT_IN_JOB else ())),
        fresh_directory=is_proof,
        containers=_containers(arguments),
        sweep=_sweep(arguments, restarts, max_nodes * nproc_per_node) if arguments.command == "sweep" else None,
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
    if arguments.run_path:  # stands above the two others, as under torchrun
        return _file(path, rest)
    if arguments.no_python and arguments.module:
        raise UsageError("--no-python and --module exclude each other")
    if arguments.module:
        return _module(path, rest)
    if arguments.no_python:
        return Script(path=path, arguments=rest, is_program=True)
    return _file(path, rest)


def _file(path: str, arguments: tuple[str, ...]) -> Script:
    file = Path(path).absolute()
    if not file.is_file() and not (file / "__main__.py").is_file():
        reason = "is a folder without __main__.py" if file.is_dir() else "does not exist"
        raise ScriptNotFoundError(f"script {path!r} {reason}")
    return Script(path=str(file), arguments=arguments)


def _module(name: str, arguments: tuple[str, ...]) -> Script:
    top = name.partition(".")[0]
    if importlib.util.find_spec(top) is None and not (Path(top).is_dir() or Path(f"{top}.py").is_file()):
        raise ScriptNotFoundError(f"module {name!r} is not installed and not in this folder")
    return Script(path=name, arguments=arguments, is_module=True, folder=str(Path.cwd()))


def _nproc_per_node(arguments: argparse.Namespace) -> int:
    text = str(arguments.nproc_per_node)
    try:
        number = torchrun_flags.num_ranks(text)
    except ValueError as error:
        raise UsageError(f"--nproc-per-node {text}: {error}") from error
    if number < 1:
        raise UsageError(f"--nproc-per-node {text}: a node needs at least one rank")
    return number


def _num_nodes(text: str) -> tuple[int, int]:
    low, colon, high = text.partition(":")
    try:
        numbers = int(low), int(high if colon else low)
    except ValueError:
        raise UsageError(f"--nnodes {text}: expected N or MIN:MAX") from None
    if not 1 <= numbers[0] <= numbers[1]:
        raise UsageError(f"--nnodes {text}: expected 1 <= MIN <= MAX")
    return numbers


def _faults(arguments: argparse.Namespace, *, num_nodes: int, nproc_per_node: int) -> tuple[PlannedFault, ...]:
    texts = arguments.fault
    if arguments.command == "sweep":
        texts = example_faults(parse_at(arguments.at), parse_kinds(arguments.kinds))
    elif not texts and arguments.command == "verify":
        texts = _BUILT_IN_FAULTS if arguments.training_script is None else _DEFAULT_FAULTS
    requests = [text if isinstance(text, FaultRequest) else parse_fault(text) for text in texts]
    return resolve(requests, world_size=num_nodes * nproc_per_node, num_nodes=num_nodes, seed=arguments.seed)


def _sweep(arguments: argparse.Namespace, restarts: Restarts, world_size: int) -> SweepSpec:
    parse_ranks(arguments.ranks, world_size=world_size)
    if arguments.sample is not None and arguments.sample < 1:
        raise UsageError(f"--sample {arguments.sample}: expected at least one point")
    return SweepSpec(
        at=arguments.at, ranks=arguments.ranks, kinds=arguments.kinds, sample=arguments.sample, restarts=restarts
    )


def _recording(arguments: argparse.Namespace, faults: tuple[PlannedFault, ...]) -> Recording:
    """A production job pays nothing: `run` records what a fault, the hang watch or the user needs."""
    is_wanted = arguments.command != "run" or arguments.record or faults or arguments.hang_timeout
    return "full" if is_wanted else "ends"


def _hang_timeout_s(arguments: argparse.Namespace, faults: tuple[PlannedFault, ...]) -> float | None:
    if arguments.hang_timeout is not None:
        return float(arguments.hang_timeout)
    if any(fault.kind.facts.needs_hang_watch for fault in faults):
        return _BUILT_IN_HANG_TIMEOUT_S if arguments.training_script is None else _PLANNED_HANG_TIMEOUT_S
    return None if arguments.command == "run" else _HANG_TIMEOUT_S


def _grace_s(arguments: argparse.Namespace) -> float | None:
    if arguments.grace is not None:
        return float(arguments.grace)
    return None if arguments.command == "run" else _GRACE_S


def _containers(arguments: argparse.Namespace) -> Containers | None:
    if arguments.cluster == "local":
        return None
    if arguments.command == "run":
        raise UsageError(
            "run: --cluster compose is for proofs; in containers of your own, start `resumable run` in each"
        )
    candidates = [Path(arguments.compose_file)] if arguments.compose_file else [_COMPOSE_FILE, Path(_COMPOSE_NAME)]
    file = next((file for file in candidates if file.is_file()), None)
    if file is None:
        raise UsageError(f"--cluster compose: there is no {candidates[-1]}; name one with --compose-file")
    return Containers(compose_file=str(file.absolute()), image=arguments.image)


def _refuse_foreign_rendezvous(arguments: argparse.Namespace) -> None:
    if arguments.rdzv_endpoint:
        raise UsageError(
            f"{arguments.command}: --rdzv-endpoint {arguments.rdzv_endpoint} is for `resumable run`; "
            f"{arguments.command} starts all its nodes itself"
        )


def _restarts(arguments: argparse.Namespace, faults: tuple[PlannedFault, ...], nproc_per_node: int) -> Restarts:
    method = _restart_method(arguments, faults)
    max_restarts = None if arguments.max_restarts is None else int(arguments.max_restarts)
    if max_restarts is not None and max_restarts < 0:
        raise UsageError(f"--max-restarts {max_restarts}: expected 0 or more")
    after = arguments.restart_nproc_per_node
    if after is not None and (method != "job" or after < 1):
        raise UsageError(f"--restart-nproc-per-node {after}: expected --restart job and at least one rank")
    return Restarts(method=method, max_restarts=max_restarts, nproc_per_node=after or nproc_per_node)


def _scenarios(
    arguments: argparse.Namespace, faults: tuple[PlannedFault, ...], restarts: Restarts, nproc_per_node: int
) -> tuple[Scenario, ...]:
    references = _references(arguments, nproc_per_node)
    if arguments.command == "sweep":
        return references
    if arguments.command in ("run", "python"):
        return (restarts.after(faults, name="run", reference=references[0]),)
    return (*references, restarts.after(faults, name="faulted", reference=references[0]))


def _references(arguments: argparse.Namespace, nproc_per_node: int) -> tuple[Scenario, ...]:
    return tuple(
        Scenario(name=f"reference-{number}", nproc_per_start=(nproc_per_node,), start_method=arguments.start_method)
        for number in (1, 2)
    )


def _restart_method(arguments: argparse.Namespace, faults: tuple[PlannedFault, ...]) -> RestartMethod:
    """The agent that is preempted restarts nothing: whoever started the job must start it again."""
    is_ended = arguments.nnodes in ("1", "1:1")
    preempted = next((fault for fault in faults if fault.kind is FaultKind.PREEMPT), None)
    if preempted is None or not is_ended:
        return arguments.restart or "agent"
    if arguments.restart == "agent":
        raise UsageError(f"--restart agent: {preempted} ends the only node, its agent too; use --restart job")
    return "job"
