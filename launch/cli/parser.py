"""The command line: torchrun's flags and ours, then the script and whatever the script takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from resumable.launch.cli.argparse_private import option_named
from resumable.launch.cli.flags import (
    add_doctor_flags,
    add_fault_flags,
    add_job_flags,
    add_output_flags,
    add_report_flags,
    add_sweep_flags,
)
from resumable.launch.cli.torchrun_parser import add_torchrun_flags
from resumable.launch.errors import UsageError
from resumable.launch.plan.fault_grammar import GRAMMAR

_TORCHRUN_COMMANDS = ("run", "verify", "sweep")
_OWN_USAGE = {
    "run": "[--fault F]...",
    "verify": "[--fault F]...",
    "sweep": "[--at all|every:N|LIST] [--ranks each|any|all|LIST] [--kinds LIST]",
}
_EPILOG = f"""\
faults
{GRAMMAR}

exit codes: 0 VALID, 1 INVALID, 2 usage, 3 UNKNOWN, 70 internal error
"""


class _Parser(argparse.ArgumentParser):
    """Raises instead of ending the process, so that `main` has one way out."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{message}\ntry: {self.prog} --help")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Arguments of one command; `training_script` is None where none was given.

    Raises:
        UsageError: the arguments make no command.
        SystemExit: help was asked for and printed.
    """
    if argv and argv[0] in _TORCHRUN_COMMANDS:
        parser = _launch_parser(argv[0])
        head, tail = _split_at_script(parser, argv[1:])
        arguments = parser.parse_args(head)
        arguments.command = argv[0]
        arguments.training_script = tail[0] if tail else None
        arguments.training_script_args = tail[1:]
        return arguments
    return _main_parser().parse_args(argv)


def _main_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="resumable",
        description="Restart training jobs, and prove that they go on with the right batch.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    commands.add_parser("run", help="a torchrun whose restarts work, and which keeps evidence", add_help=False)
    commands.add_parser("verify", help="run a job undisturbed, then with faults, and compare", add_help=False)
    commands.add_parser("sweep", help="the same with a fault at every rank and step, one run each", add_help=False)
    check = commands.add_parser("check", help="run the checks again, on stored evidence")
    check.add_argument("run_dirs", nargs="+", metavar="RUN", help="a run directory of `verify` or `sweep`")
    add_output_flags(check)
    report = commands.add_parser("report", help="write files for people and programs, from stored evidence")
    report.add_argument("run_dir", metavar="RUN", help="a run directory of `run`, `verify` or `sweep`")
    add_report_flags(report)
    doctor = commands.add_parser("doctor", help="find what would make restarts fail on this machine, and how to fix it")
    add_doctor_flags(doctor)
    return parser


def _version() -> str:
    try:
        return version("resumable")
    except PackageNotFoundError:
        return "(not installed)"


def _launch_parser(command: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"resumable {command}",
        usage=f"resumable {command} [torchrun flags] {_OWN_USAGE[command]} [SCRIPT ARGS]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    ours = parser.add_argument_group("resumable")
    if command != "run":
        add_report_flags(parser.add_argument_group("reports"))
    if command == "sweep":
        add_sweep_flags(ours)
    else:
        add_fault_flags(ours)
    add_job_flags(ours)
    add_output_flags(ours)
    add_torchrun_flags(parser.add_argument_group("torchrun"))
    return parser


def _split_at_script(parser: argparse.ArgumentParser, argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options before the script, and the script with its own arguments.

    argparse cannot do it: an optional script would match nothing at the first option, and every option after it would be
    taken for the script's.
    """
    position = 0
    while position < len(argv):
        word = argv[position]
        if word == "--":
            return list(argv[:position]), list(argv[position + 1 :])
        if not word.startswith("-"):
            break
        position += 2 if _wants_next(parser, word) else 1
    return list(argv[:position]), list(argv[position:])


def _wants_next(parser: argparse.ArgumentParser, option: str) -> bool:
    """Whether the value of this option is the next word: not for a flag, `--a=b` or `-t3`."""
    action = option_named(parser, option)
    return action is not None and action.nargs is None
