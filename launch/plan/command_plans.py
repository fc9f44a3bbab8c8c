"""Plans of a `verify` whose ranks a command of the user's own starts: how many there are shows only when it has run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from resumable.launch.errors import UsageError
from resumable.launch.plan.absent_ranks import refuse_rank
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import FaultRequest, num_restarts, resolve
from resumable.launch.plan.options import DEFAULT_FAULT, JobOptions
from resumable.launch.plan.plan import Plan, Scenario, Script
from resumable.launch.plan.planner import usual_hang_timeout_s
from resumable.launch.plan.topology import Topology


def own_command(words: Sequence[str]) -> Script | None:
    """The command that these words are, if they are one: a program that is found as a shell finds it, and no Python script.

    It runs in a folder of its own, so that reference and scenario share no checkpoint; what it names of this folder is named
    in full.
    """
    program, *arguments = words
    if Path(program).suffix == ".py" or Path(program).is_dir() or shutil.which(program) is None:
        return None
    named = tuple(os.path.abspath(word) if Path(word).is_file() else word for word in arguments)  # noqa: PTH100 - no links
    path = program if os.sep not in program else os.path.abspath(program)  # noqa: PTH100 - a link says which environment
    return Script(path=path, arguments=named, is_command=True, folder=str(Path.cwd()))


def command_plan(options: JobOptions) -> Plan:
    """The plan before its faults are drawn: two undisturbed runs.

    Raises:
        UsageError: something in the options cannot be done to ranks that somebody else starts.
    """
    if options.cluster != "local":
        raise UsageError(f"--cluster {options.cluster}: {options.script.path} starts its ranks itself")
    if options.restart_nproc_per_node is not None:
        raise UsageError("--restart-nproc-per-node: how many ranks there are is up to the command that starts them")
    for request in requests_of(options):
        if request.is_node or request.kind.facts.deed is not None:
            raise UsageError(
                f"--fault {request.kind}: is done to a node, and those of {options.script.path} are not ours; a job that "
                "`resumable verify` starts itself can lose one"
            )
    return Plan(
        command="verify",
        script=options.script,
        torchrun={},
        topology=Topology(),
        scenarios=tuple(Scenario(name=f"reference-{number}", nproc_per_start=(1,)) for number in (1, 2)),
        seed=options.seed,
        content=options.content,
        hang_timeout_s=options.hang_timeout_s or usual_hang_timeout_s("verify", options.script, ()),
    )


def requests_of(options: JobOptions) -> tuple[FaultRequest, ...]:
    """The faults that are asked for."""
    return options.faults or (parse_fault(DEFAULT_FAULT),)


def with_faults(plan: Plan, options: JobOptions, *, world_size: int) -> Plan:
    """The plan once a reference has shown how many ranks there are.

    Raises:
        UsageError: a fault names a rank that there is not.
    """
    faults = resolve(requests_of(options), world_size=world_size, seed=options.seed)
    for fault in faults:
        refuse_rank(f"--fault {fault}", fault.rank or 0, world_size=world_size, number_from="the command")
    restarts = num_restarts(faults) if options.max_restarts is None else options.max_restarts
    is_again = options.restart != "agent"
    scenarios = [msgspec.structs.replace(scenario, nproc_per_start=(world_size,)) for scenario in plan.references]
    faulted = Scenario(
        name="faulted",
        faults=faults,
        restart="job" if is_again else "agent",
        max_restarts=restarts,
        nproc_per_start=(world_size,) * (1 + restarts if is_again else 1),
    )
    return msgspec.structs.replace(plan, scenarios=(*scenarios, faulted))
