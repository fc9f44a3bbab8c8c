"""Turns options into a plan: every check of the input and every draw happens here, before anything starts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from resumable.launch.errors import UsageError
from resumable.launch.plan.absent_ranks import refuse_absent
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_kinds import NODE_NOTICES
from resumable.launch.plan.fault_model import FaultRequest, PlannedFault, resolve
from resumable.launch.plan.options import DEFAULT_FAULT, JobOptions
from resumable.launch.plan.plan import (
    Command,
    Containers,
    Plan,
    Recording,
    RestartMethod,
    Restarts,
    Scenario,
    Script,
    SweepSpec,
)
from resumable.launch.plan.sweep_words import example_faults, parse_at, parse_kinds, parse_ranks
from resumable.launch.plan.topology import Topology, topology_of
from resumable.launch.plan.torchrun_flags import Flags, check_flags, num_ranks
from resumable.launch.system.limits import too_many_ranks

_BUILT_IN_PRELOAD = ("sklearn.datasets", "resumable.samplers")
_BUILT_IN_FAULTS = (DEFAULT_FAULT, "sigkill@epoch=2,batch=3:rank=any")
_LOG_TO_FILE_AND_CONSOLE = "3"
_HANG_TIMEOUT_S, _PLANNED_HANG_TIMEOUT_S, _BUILT_IN_HANG_TIMEOUT_S = 300.0, 30.0, 5.0
_GRACE_S = 5.0
_COMPOSE_FILE = Path(__file__).parents[1] / "cluster" / "compose.yaml"


def make_plan(options: JobOptions) -> Plan:
    """The plan of a `run`, a `verify`, or a `sweep` whose points are not drawn yet.

    Raises:
        UsageError: something in the options cannot be done; the message names it and what would do.
    """
    is_proof = options.command != "run"
    nproc_per_node = _nproc_per_node(options)
    _refuse_too_many("--restart-nproc-per-node", options.restart_nproc_per_node or 1)
    flags = _torchrun(options, is_proof=is_proof)
    topology = topology_of(flags, is_proof=is_proof)
    _refuse_too_many("--nnodes", topology.num_local_nodes)
    world_size = topology.max_nodes * nproc_per_node
    faults = resolve(_requests(options), world_size=world_size, num_nodes=topology.max_nodes, seed=options.seed)
    restarts = _restarts(options, faults, topology, nproc_per_node)
    plan = Plan(
        command=options.command,
        script=options.script,
        torchrun=flags,
        topology=topology,
        scenarios=_scenarios(options, faults, restarts, nproc_per_node),
        seed=options.seed,
        recording=_recording(options, faults),
        content=options.content,
        hang_timeout_s=usual_hang_timeout_s(options.command, options.script, faults)
        if options.hang_timeout_s is None
        else options.hang_timeout_s,
        grace_s=usual_grace_s(options.command) if options.grace_s is None else options.grace_s,
        preload=(*options.preload, *(_BUILT_IN_PRELOAD if options.script.is_built_in else ())),
        fresh_directory=is_proof,
        containers=_containers(options),
        sweep=_sweep(options, restarts, world_size),
    )
    refuse_absent(plan)
    return plan


def usual_hang_timeout_s(command: Command, script: Script, faults: Iterable[PlannedFault]) -> float | None:
    """After what time without progress a rank is ended where nobody says it; None: never."""
    if any(fault.kind.facts.needs_hang_watch for fault in faults):
        return _BUILT_IN_HANG_TIMEOUT_S if script.is_built_in else _PLANNED_HANG_TIMEOUT_S
    return None if command == "run" else _HANG_TIMEOUT_S


def usual_grace_s(command: Command) -> float | None:
    """How long survivors of a rank that died are waited for where nobody says it; None: torch's own time."""
    return None if command == "run" else _GRACE_S


def _torchrun(options: JobOptions, *, is_proof: bool) -> Flags:
    flags = options.torchrun
    check_flags(flags)
    if is_proof and flags["rdzv_endpoint"]:
        raise UsageError(
            f"{options.command}: --rdzv-endpoint {flags['rdzv_endpoint']} is for `resumable run`; "
            f"{options.command} starts all its nodes itself"
        )
    if is_proof:
        return {**flags, "redirects": _LOG_TO_FILE_AND_CONSOLE}
    if flags["redirects"] == flags["tee"] == "0":
        return {**flags, "tee": _LOG_TO_FILE_AND_CONSOLE}
    return flags


def _nproc_per_node(options: JobOptions) -> int:
    text = options.nproc_per_node
    try:
        number = num_ranks(text)
    except ValueError as error:
        reason = error if text in ("auto", "cpu", "gpu") else "expected a number, auto, cpu or gpu"
        raise UsageError(f"--nproc-per-node {text}: {reason}") from error
    if number < 1:
        raise UsageError(f"--nproc-per-node {text}: a node needs at least one rank")
    _refuse_too_many("--nproc-per-node", number)
    return number


def _refuse_too_many(flag: str, num_ranks: int) -> None:
    reason = too_many_ranks(num_ranks)
    if reason is not None:
        raise UsageError(f"{flag} {num_ranks}: {reason}")


def _requests(options: JobOptions) -> tuple[FaultRequest, ...]:
    if options.sweep is not None:
        return example_faults(parse_at(options.sweep.at), parse_kinds(options.sweep.kinds))
    if options.faults or options.command != "verify":
        return options.faults
    return tuple(map(parse_fault, _BUILT_IN_FAULTS if options.script.is_built_in else (DEFAULT_FAULT,)))


def _sweep(options: JobOptions, restarts: Restarts, world_size: int) -> SweepSpec | None:
    asked = options.sweep
    if asked is None:
        return None
    parse_ranks(asked.ranks, world_size=world_size)
    return SweepSpec(**msgspec.structs.asdict(asked), restarts=restarts)


def _recording(options: JobOptions, faults: tuple[PlannedFault, ...]) -> Recording:
    """A production job pays nothing: `run` records what a fault, the hang watch or the user needs."""
    is_wanted = options.command != "run" or options.is_recorded or faults or options.hang_timeout_s
    return "full" if is_wanted else "ends"


def _containers(options: JobOptions) -> Containers | None:
    if options.cluster == "local":
        return None
    if options.command == "run":
        raise UsageError(
            "run: --cluster compose is for proofs; in containers of your own, start `resumable run` in each"
        )
    file = Path(options.compose_file or _COMPOSE_FILE)
    if not file.is_file():
        raise UsageError(f"--compose-file {file}: there is no such file; `resumable compose DIR` writes one")
    return Containers(compose_file=str(file.absolute()), image=options.image)


def _restarts(
    options: JobOptions, faults: tuple[PlannedFault, ...], topology: Topology, nproc_per_node: int
) -> Restarts:
    method = _restart_method(options, faults, topology)
    after = options.restart_nproc_per_node
    if after is not None and (method != "job" or after < 1):
        raise UsageError(f"--restart-nproc-per-node {after}: expected --restart job and at least one rank")
    return Restarts(method=method, max_restarts=options.max_restarts, nproc_per_node=after or nproc_per_node)


def _scenarios(
    options: JobOptions, faults: tuple[PlannedFault, ...], restarts: Restarts, nproc_per_node: int
) -> tuple[Scenario, ...]:
    references = _references(options, nproc_per_node)
    if options.command == "sweep":
        return references
    if options.command in ("run", "python"):
        return (restarts.after(faults, name="run", reference=references[0]),)
    return (*references, restarts.after(faults, name="faulted", reference=references[0]))


def _references(options: JobOptions, nproc_per_node: int) -> tuple[Scenario, ...]:
    return tuple(
        Scenario(name=f"reference-{number}", nproc_per_start=(nproc_per_node,), start_method=options.start_method)
        for number in range(1, options.num_references + 1)
    )


def _restart_method(options: JobOptions, faults: tuple[PlannedFault, ...], topology: Topology) -> RestartMethod:
    """The agent that is preempted restarts nothing: whoever started the job must start it again."""
    preempted = next((fault for fault in faults if fault.kind in NODE_NOTICES), None)
    if preempted is None or topology.max_nodes > 1:
        return options.restart or "agent"
    if options.restart == "agent":
        raise UsageError(f"--restart agent: {preempted} ends the only node, its agent too; use --restart job")
    return "job"
