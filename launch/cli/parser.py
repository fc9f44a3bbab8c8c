"""The command line: torchrun's flags and ours, then the script and whatever the script takes."""

from __future__ import annotations

import argparse
import shlex
import textwrap
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from resumable.launch.cli.argparse_private import option_named, options_of
from resumable.launch.cli.flags import (
    add_doctor_flags,
    add_fault_flags,
    add_issue_flags,
    add_job_flags,
    add_output_flags,
    add_record_flags,
    add_report_flags,
    add_sweep_flags,
    add_watch_flags,
    add_who_flags,
)
from resumable.launch.cli.help_texts import BEGINNING, EXAMPLES, EXIT_CODES, LAUNCHES, ShortHelp, whole_epilog
from resumable.launch.cli.torchrun_parser import add_torchrun_flags
from resumable.launch.errors import LaunchError, UsageError
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.sweep_words import parse_at, parse_kinds

COMMANDS = (
    *LAUNCHES,
    *("record", "check", "who", "watch", "plan", "report", "issue", "compose", "doctor", "example", "completion"),
)

_FAULT_WORDS = {"--fault": parse_fault, "--at": parse_at, "--kinds": parse_kinds}
"""Options of ours that a script hardly has too, if their value can be read as one."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of ending the process, so that `main` has one way out."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{message}\ntry: {self.prog} --help")


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
    if argv[0] == "plan":
        return argparse.Namespace(command="plan", planned=argv[1:])
    _refuse_unknown(argv[0])
    return _main_parser().parse_args(argv)


def _launch_arguments(command: str, argv: Sequence[str]) -> argparse.Namespace:
    parser = _launch_parser(command)
    head, tail = _split_at_script(parser, argv)
    arguments, unknown = parser.parse_known_args(head)
    if unknown:
        raise UsageError(_no_such_option(unknown[0], parser, f"resumable {command}"))
    if tail and "--" not in argv[: len(argv) - len(tail)]:
        _refuse_behind_script(command, head, tail)
    arguments.command = command
    arguments.training_script = tail[0] if tail else None
    arguments.training_script_args = tail[1:]
    return arguments


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, by its name."""
    [commands] = [action for action in options_of(_main_parser()) if action.dest == "command"]
    others = {**dict(commands.choices or ()), "record": _record_parser()}
    return {name: _launch_parser(name) if name in LAUNCHES else others[name] for name in COMMANDS}


def _record_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="resumable record",
        usage="resumable record [--run-dir DIR] -- COMMAND [ARGS]",
        description="Run a command that starts ranks, such as torchrun, accelerate launch or srun, and keep the evidence of "
        "what each rank trains on, over all restarts. With the same --run-dir, further attempts are added.",
    )
    add_record_flags(parser)
    return parser


def _record_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """What stands behind the first word that is no option of ours, or behind `--`, is the command."""
    parser = _record_parser()
    head, tail = _split_at_script(parser, argv)
    arguments = parser.parse_args(head)
    if not tail:
        parser.error("no command is given: resumable record -- COMMAND")
    arguments.command, arguments.recorded = "record", tail
    return arguments


def _refuse_unknown(word: str) -> None:
    """A command that there is not: the nearest that there is, or the one that a script's name wants."""
    if word.startswith("-") or word in COMMANDS:
        return
    if Path(word).exists() or word.endswith(".py"):
        raise UsageError(f"{word} is no command; to prove that it resumes: resumable verify {word}")
    nearest = get_close_matches(word, COMMANDS, n=1)
    hint = f"did you mean: resumable {nearest[0]}" if nearest else f"commands: {', '.join(COMMANDS)}"
    raise UsageError(f"no command {word!r}\n{hint}")


def _no_such_option(word: str, parser: argparse.ArgumentParser, program: str) -> str:
    name = word.partition("=")[0]
    spellings = [spelling for option in options_of(parser) for spelling in option.option_strings]
    nearest = get_close_matches(name, spellings, n=1)
    hint = f"did you mean: {nearest[0]}" if nearest else f"try: {program} --help"
    return f"no option {name}\n{hint}"


def _refuse_behind_script(command: str, head: Sequence[str], tail: Sequence[str]) -> None:
    """A fault that stands behind the script would go to the script, and nobody would notice."""
    for number, word in enumerate(tail[1:-1], start=1):
        if word in _FAULT_WORDS and _is_read_by(_FAULT_WORDS[word], tail[number + 1]):
            right = [*head, *tail[number : number + 2], *tail[:number], *tail[number + 2 :]]
            raise UsageError(
                f"{word} {tail[number + 1]} stands behind {tail[0]}, which would get it; write\n"
                f"  resumable {command} {shlex.join(right)}\n"
                f"or put -- before {tail[0]} if it is an option of its own"
            )


def _is_read_by(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except LaunchError:
        return False
    return True


def _main_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="resumable",
        description="Restart training jobs, and prove that they go on with the right batch.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"each has its own: resumable verify --help\n{EXIT_CODES}",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, texts in LAUNCHES.items():
        commands.add_parser(name, help=texts.summary, add_help=False)
    commands.add_parser("record", help="keep the evidence of any command that starts ranks", add_help=False)
    check = commands.add_parser("check", help="run the checks again, on stored evidence")
    check.add_argument(
        "run_dirs",
        nargs="+",
        metavar="RUN",
        help="a run directory or its bundle; several that were only recorded are one job: its attempts, or its hosts",
    )
    check.add_argument(
        "--against", metavar="REFERENCE", help="a recorded job that ran undisturbed, to compare recorded ones with"
    )
    add_output_flags(check)
    who = commands.add_parser("who", help="which samples were trained on in a step, and when a sample was")
    who.add_argument("run_dirs", nargs="+", metavar="RUN", help="a run directory, or all of one recorded job")
    add_who_flags(who)
    watch = commands.add_parser("watch", help="show how far a run is, while it goes on")
    watch.add_argument("run_dir", metavar="RUN", help="its run directory")
    add_watch_flags(watch)
    commands.add_parser("plan", help="which samples each rank will get, without training", add_help=False)
    report = commands.add_parser("report", help="write files for people and programs, from stored evidence")
    report.add_argument("run_dir", metavar="RUN", help="a run directory of `run`, `verify` or `sweep`, or its bundle")
    add_report_flags(report)
    issue = commands.add_parser("issue", help="print a failure as the text of a bug report, from stored evidence")
    issue.add_argument("run_dir", metavar="RUN", help="a run directory of `verify` or `sweep`, or its bundle")
    add_issue_flags(issue)
    compose = commands.add_parser(
        "compose", help="write what nodes in containers are made of: Dockerfile, compose file, package"
    )
    compose.add_argument("folder", metavar="DIR", help="a new folder")
    doctor = commands.add_parser("doctor", help="find what would make restarts fail on this machine, and how to fix it")
    add_doctor_flags(doctor)
    example = commands.add_parser("example", help="print a training script that resumes exactly, to start from")
    example.add_argument("name", choices=EXAMPLES, metavar="NAME", help=f"one of {', '.join(EXAMPLES)}")
    completion = commands.add_parser("completion", help="print what a shell needs to complete commands and options")
    completion.add_argument("shell", choices=["bash", "zsh", "fish"], help="bash: source <(resumable completion bash)")
    return parser


def _version() -> str:
    try:
        return version("resumable")
    except PackageNotFoundError:
        return "(not installed)"


def _launch_parser(command: str) -> argparse.ArgumentParser:
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
    parser.add_argument("-h", "--help", action=ShortHelp, const=command)
    parser.add_argument("--help-all", action="help", help="show every option, torchrun's included, and all faults")
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
