"""What the parser read, as typed options: nothing beyond this package knows argparse."""

from __future__ import annotations

import argparse
import shlex

from resumable.launch.cli.torchrun_parser import torchrun_flags
from resumable.launch.errors import UsageError
from resumable.launch.plan.command_plans import own_command
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.options import JobOptions
from resumable.launch.plan.plan import Script, SweepOptions
from resumable.launch.plan.scripts import built_in_job, refuse_missing_data, script_file, script_module
from resumable.launch.report.outputs import ReportOptions


def job_options(arguments: argparse.Namespace) -> JobOptions:
    """The options of `run`, `verify` or `sweep`.

    Raises:
        UsageError: a value that cannot be; the message names it and what would do.
    """
    is_sweep = arguments.command == "sweep"
    return JobOptions(
        command=arguments.command,
        script=_script(arguments),
        torchrun=torchrun_flags(arguments),
        nproc_per_node=str(arguments.nproc_per_node),
        faults=() if is_sweep else tuple(map(parse_fault, arguments.fault)),
        seed=arguments.seed,
        start_method=arguments.start_method,
        restart=arguments.restart,
        restart_nproc_per_node=arguments.restart_nproc_per_node,
        max_restarts=arguments.max_restarts,
        hang_timeout_s=arguments.hang_timeout,
        grace_s=arguments.grace,
        is_recorded=arguments.record,
        content=arguments.content,
        num_references=arguments.references,
        preload=tuple(arguments.preload),
        cluster=arguments.cluster,
        image=arguments.image,
        compose_file=arguments.compose_file,
        sweep=_sweep(arguments) if is_sweep else None,
    )


def report_options(arguments: argparse.Namespace) -> ReportOptions:
    """The files that a command is asked to write."""
    return ReportOptions(
        html=arguments.html,
        junit=arguments.junit,
        json=arguments.json,
        markdown=arguments.markdown,
        trace=arguments.trace,
        bundle=arguments.bundle,
        is_strict=arguments.strict,
    )


def _sweep(arguments: argparse.Namespace) -> SweepOptions:
    return SweepOptions(
        at=arguments.at,
        ranks=arguments.ranks,
        kinds=arguments.kinds,
        sample=arguments.sample,
        is_chained=arguments.chain,
        tail=arguments.tail,
    )


def _no_command(word: str, command: Script) -> str:
    """What to write instead: `run` and `sweep` start ranks themselves."""
    whole = shlex.join([command.path, *command.arguments])
    return (
        f"{word}: {command.path} is a program, which may start ranks itself; write `resumable verify -- {whole}` or "
        f"`resumable record -- {whole}`, give its script to `resumable {word}` with the same flags, or run it as every rank "
        "with --no-python"
    )


def _script(arguments: argparse.Namespace) -> Script:
    path, rest = arguments.training_script, tuple(arguments.training_script_args)
    if path is None:
        if arguments.command == "run":
            raise UsageError("run: no script given; usage: resumable run [torchrun flags] SCRIPT ARGS")
        if arguments.cluster == "local":
            refuse_missing_data()
        return built_in_job(*(("--backend", arguments.backend) if arguments.backend else ()))
    if arguments.backend:
        raise UsageError(f"--backend {arguments.backend} is for the built-in job; {path} chooses its own")
    if arguments.run_path:  # stands above the two others, as under torchrun
        return script_file(path, rest)
    if arguments.no_python and arguments.module:
        raise UsageError("--no-python and --module exclude each other")
    if arguments.module:
        return script_module(path, rest)
    if arguments.no_python:
        return Script(path=path, arguments=rest, is_program=True)
    return _command(arguments.command, path, rest) or script_file(path, rest)


def _command(word: str, path: str, rest: tuple[str, ...]) -> Script | None:
    """A program instead of a script, such as a pasted `torchrun ...`."""
    command = own_command((path, *rest))
    if command is not None and word != "verify":
        raise UsageError(_no_command(word, command))
    return command
