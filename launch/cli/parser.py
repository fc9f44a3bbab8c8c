"""The command line: torchrun's flags and ours, then the script and whatever the script takes."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from resumable.launch.cli.argparse_private import option_named, options_of
from resumable.launch.cli.flags import (
    add_fault_flags,
    add_job_flags,
    add_output_flags,
    add_record_flags,
    add_report_flags,
    add_sweep_flags,
    add_verify_flags,
)
from resumable.launch.cli.help_texts import (
    BEGINNING,
    EXIT_CODES,
    LAUNCHES,
    TOOLS,
    short_epilog,
    tool_epilog,
    whole_epilog,
)
from resumable.launch.cli.slips import (
    refusal,
    refuse_behind_script,
    refuse_mistyped,
    refuse_superfluous,
    refuse_swallowed_script,
    refuse_unknown_command,
)
from resumable.launch.cli.tool_arguments import TOOL_ARGUMENTS
from resumable.launch.cli.torchrun_parser import add_named_flags, add_torchrun_flags
from resumable.launch.errors import UsageError

COMMANDS = (*LAUNCHES, *TOOLS)
_PARSED_BY_THEMSELVES = ("record",)
"""Behind their options stands a command."""
BEFORE_SCRIPT = (*LAUNCHES, *_PARSED_BY_THEMSELVES)
"""Their options stand before a script or a command, to which all that follows belongs."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of ending the process, so that `main` has one way out."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise refusal(message, self.prog)


def is_somebody_elses(argv: Sequence[str]) -> bool:
    """Whether what is started is a command of the user's own, which may leave processes behind as it always does."""
    return argv[:1] == ["record"]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Arguments of one command; `training_script` is None where none was given.

    Raises:
        UsageError: the arguments make no command.
        SystemExit: help was asked for and printed.
    """
    if not argv:
        raise UsageError(f"what is to be done?\n\n{BEGINNING}".rstrip())
    if argv[0] in LAUNCHES:
        return _launch_arguments(argv[0], argv[1:])
    if argv[0] == "record":
        return _record_arguments(argv[1:])
    refuse_unknown_command(argv, COMMANDS)
    if argv[0] in TOOLS:
        refuse_mistyped(argv[1:], _tool_parsers()[argv[0]], command_parsers)
    arguments, unknown = _main_parser().parse_known_args(argv)
    if unknown:
        refuse_superfluous(unknown[0], _tool_parsers()[arguments.command], command_parsers)
    return arguments


def _launch_arguments(command: str, argv: Sequence[str]) -> argparse.Namespace:
    if argv[:1] in (["-h"], ["--help"]):
        _print_short_help(command)  # wherever else it stands, torch says first which words are values
    parser = _launch_parser(command)
    head, tail = _split_at_script(parser, argv)
    if not tail:
        refuse_swallowed_script(command, head)
    arguments, unknown = parser.parse_known_args(head)
    if unknown:
        refuse_superfluous(unknown[0], parser, command_parsers, head, tail)
    if tail and "--" not in argv[: len(argv) - len(tail)]:
        refuse_behind_script(command, head, tail)
    arguments.command = command
    arguments.training_script = tail[0] if tail else None
    arguments.training_script_args = tail[1:]
    return arguments


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, by its name; of torchrun's options they have those of the short help."""
    launches = {name: _own_parser(name) for name in LAUNCHES}
    for name, parser in launches.items():
        add_named_flags(parser, LAUNCHES[name].common)
    return {**launches, **_tool_parsers()}


def _tool_parsers() -> dict[str, argparse.ArgumentParser]:
    """Of those that launch no job of their own, which need not ask torch."""
    [commands] = [action for action in options_of(_main_parser()) if action.dest == "command"]
    parsers = {**dict(commands.choices or ()), "record": _record_parser()}
    return {name: parsers[name] for name in TOOLS}


def _texts_of(name: str) -> dict[str, Any]:
    """What the help of a tool says besides its options."""
    return {
        "description": textwrap.fill(TOOLS[name].about, 80),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "epilog": tool_epilog(name),
    }


def _record_parser() -> argparse.ArgumentParser:
    usage = "resumable record [--run-dir DIR] [--keep samples|batches|quick] -- COMMAND [ARGS]"
    parser = _Parser(prog="resumable record", usage=usage, **_texts_of("record"))
    add_record_flags(parser)
    return parser


def _record_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """What stands behind the first word that is no option of ours, or behind `--`, is the command."""
    parser = _record_parser()
    head, tail = _split_at_script(parser, argv)
    arguments, unknown = parser.parse_known_args(head)
    if unknown:
        refuse_superfluous(unknown[0], parser, command_parsers)
    if not tail:
        parser.error("no command is given: resumable record -- COMMAND")
    arguments.command, arguments.recorded = "record", tail
    return arguments


def _main_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="resumable",
        description="Restart training jobs, and prove that they go on with the right batch.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"each has its own: resumable verify --help\n{EXIT_CODES}",
    )
    parser.add_argument("--version", action=_Version, help="show program's version number and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, texts in LAUNCHES.items():
        commands.add_parser(name, help=texts.summary, add_help=False)
    for name, tool in TOOLS.items():
        if name in _PARSED_BY_THEMSELVES:
            commands.add_parser(name, help=tool.summary, add_help=False)
        else:
            TOOL_ARGUMENTS[name](commands.add_parser(name, help=tool.summary, **_texts_of(name)))
    return parser


class _Version(argparse.Action):
    """argparse's own wants to know the version beforehand, and who looks it up reads mail headers."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - a tenth of the start

        try:
            known = version("resumable")
        except PackageNotFoundError:
            known = "(not installed)"
        print(f"{parser.prog} {known}")
        parser.exit()


class _ShortHelp(argparse.Action):
    """Prints what most users need, and ends; `const` names the command."""

    def __init__(self, option_strings: Sequence[str], dest: str, const: str) -> None:
        super().__init__(option_strings, dest, nargs=0, const=const, help="show this help and exit")

    def __call__(self, *_: object) -> NoReturn:
        _print_short_help(self.const)


def _print_short_help(command: str) -> NoReturn:
    """The options that most users need, without asking torch for its own, which takes a second."""
    common = LAUNCHES[command].common
    parser = _own_parser(command)
    for option in options_of(parser):
        if option.dest not in (*common, "help", "help_all"):
            option.help = argparse.SUPPRESS
    add_named_flags(parser.add_argument_group("torchrun"), common)
    parser.epilog = short_epilog(command)
    parser.print_help()
    parser.exit()


def _launch_parser(command: str) -> argparse.ArgumentParser:
    parser = _own_parser(command)
    add_torchrun_flags(parser.add_argument_group("torchrun"))
    return parser


def _own_parser(command: str) -> argparse.ArgumentParser:
    """All options but torchrun's."""
    texts = LAUNCHES[command]
    parser = _Parser(
        prog=f"resumable {command}",
        usage=f"resumable {command} [torchrun flags] {texts.synopsis} [SCRIPT ARGS]",
        description=textwrap.fill(texts.about, 80),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=whole_epilog(command),
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action=_ShortHelp, const=command)
    parser.add_argument("--help-all", action="help", help="show every option, torchrun's included, and all faults")
    ours = parser.add_argument_group("resumable")
    if command != "run":
        add_report_flags(parser.add_argument_group("reports"))
    if command == "sweep":
        add_sweep_flags(ours)
    else:
        add_fault_flags(ours)
    if command == "verify":
        add_verify_flags(ours)
    add_job_flags(ours)
    add_output_flags(ours)
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
