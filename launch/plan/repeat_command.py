"""One shell command that does one scenario of a plan again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from resumable.launch.plan.fault_model import num_restarts
from resumable.launch.plan.plan import Command, Plan, Scenario
from resumable.launch.plan.planner import usual_grace_s, usual_hang_timeout_s

_TORCHRUN_DEFAULTS = {
    "nnodes": "1:1",
    "monitor_interval": 0.1,
    "role": "default",
    "rdzv_conf": "",
    "local_addr": None,
    "numa_binding": None,
    "shutdown_timeout": None,
    "virtual_local_rank": False,
    "signals_to_handle": "SIGTERM,SIGINT,SIGHUP,SIGQUIT",
}
"""torchrun's flags that change what a job does, not where it logs; written down so that reports need no torch."""


def repeat_command(plan: Plan, scenario: Scenario) -> str:
    """The command line, quoted for a shell; every draw of the plan stands in it as it fell.

    What would be so by itself is left out.
    """
    if plan.command == "record":
        return shlex.join(["resumable", "record", "--", plan.script.path, *plan.script.arguments])
    if plan.script.is_command:
        faults = [word for fault in scenario.faults for word in ("--fault", str(fault))]
        again = ["--restart", scenario.restart] if scenario.restart == "agent" else []
        content = ["--content"] if plan.content else []
        return shlex.join(
            ["resumable", "verify", *content, *again, *faults, "--", plan.script.path, *plan.script.arguments]
        )
    command = "run" if plan.command == "run" else "verify"
    return shlex.join(["resumable", command, *_topology(plan, scenario), *_ours(plan, scenario), *_script(plan)])


def _topology(plan: Plan, scenario: Scenario) -> Iterator[str]:
    first, *later = scenario.nproc_per_start
    yield from ("--nproc-per-node", str(first))
    for name, default in _TORCHRUN_DEFAULTS.items():
        value = plan.torchrun.get(name, default)
        option = f"--{name.replace('_', '-')}"
        if value is True:
            yield option
        elif value != default:
            yield from (option, str(value))
    if scenario.max_restarts != num_restarts(scenario.faults):
        yield from ("--max-restarts", str(scenario.max_restarts))
    if scenario.restart == "job":
        yield from ("--restart", "job")
        yield from (f"--restart-nproc-per-node={number}" for number in later[:1] if number != first)


def _ours(plan: Plan, scenario: Scenario) -> Iterator[str]:
    if plan.containers is not None:
        yield from ("--cluster", "compose", "--image", plan.containers.image)
    yield from _comparison(plan)
    if plan.seed:
        yield from ("--seed", str(plan.seed))
    if scenario.start_method != "forkserver":
        yield from ("--start-method", scenario.start_method)
    command: Command = "run" if plan.command == "run" else "verify"
    if plan.hang_timeout_s not in (None, usual_hang_timeout_s(command, plan.script, scenario.faults)):
        yield from ("--hang-timeout", f"{plan.hang_timeout_s:g}")
    if plan.grace_s not in (None, usual_grace_s(command)):
        yield from ("--grace", f"{plan.grace_s:g}")
    if plan.command == "run" and plan.recording == "full":
        yield "--record"
    if not plan.script.is_built_in:
        yield from (f"--preload={module}" for module in plan.preload)
    for fault in scenario.faults:
        yield from ("--fault", str(fault))


def _script(plan: Plan) -> Iterator[str]:
    script = plan.script
    if not script.is_built_in:
        if script.is_program:
            yield "--no-python"
        if script.is_module:
            yield "--module"
        yield script.path
    yield from script.arguments


def _comparison(plan: Plan) -> Iterator[str]:
    """What a run is compared with, and by what."""
    if plan.content:
        yield "--content"
    if len(plan.references) > 2:
        yield from ("--references", str(len(plan.references)))
