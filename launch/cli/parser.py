"""The command line: torchrun's flags and ours, then the script and whatever the script takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from resumable.launch.doctor import add_doctor_flags
from resumable.launch.errors import UsageError
from resumable.launch.plan.argparse_private import FlagGroup, option_named
from resumable.launch.plan.fault_grammar import GRAMMAR
from resumable.launch.plan.torchrun_flags import add_torchrun_flags
from resumable.launch.report.outputs import add_report_flags

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
    commands.add_parser("run", help="a torchrun whose restarts work, with evidence kept", add_help=False)
    commands.add_parser("verify", help="reference, scenario, verdict", add_help=False)
    commands.add_parser("sweep", help="reference, then one scenario for every rank and step", add_help=False)
    check = commands.add_parser("check", help="the checks again, on stored evidence")
    check.add_argument("run_dirs", nargs="+", metavar="RUN", help="a run directory of `verify` or `sweep`")
    _add_output_flags(check)
    report = commands.add_parser("report", help="files for people and machines, from stored evidence")
    report.add_argument("run_dir", metavar="RUN", help="a run directory of `run`, `verify` or `sweep`")
    add_report_flags(report)
    doctor = commands.add_parser("doctor", help="what on this machine will make restarts fail, with the mend")
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
        _add_sweep_flags(ours)
    else:
        ours.add_argument(
            "--fault", action="append", default=[], metavar="F", help="what is done to a rank; repeatable"
        )
    ours.add_argument("--seed", type=int, default=0, help="seed of every draw, such as rank=any (default: 0)")
    ours.add_argument(
        "--run-dir",
        "--run_dir",
        metavar="DIR",
        help="where the evidence goes (default: a new folder in --log-dir, or else in ./runs)",
    )
    ours.add_argument(
        "--start-method",
        "--start_method",
        choices=["forkserver", "subprocess"],
        default="forkserver",
        help="forkserver: ranks are forked from a process that has torch imported; subprocess: plain `python script`, "
        "as torchrun does (default: forkserver)",
    )
    ours.add_argument(
        "--restart",
        choices=["agent", "job"],
        help="agent: the elastic agent restarts the group; job: everything ends and the command starts anew "
        "(default: agent; job if a fault preempts the only node)",
    )
    ours.add_argument(
        "--restart-nproc-per-node",
        "--restart_nproc_per_node",
        type=int,
        metavar="N",
        help="with --restart job: ranks per node after the first restart (default: as before)",
    )
    ours.add_argument(
        "--hang-timeout",
        "--hang_timeout",
        type=seconds,
        metavar="S",
        help="a rank without progress for so long is ended, after its stacks were stored (default: off for run; else 300, "
        "or 30 with a fault that hangs; the built-in job: 5); a rank that is still starting has 60 s at least",
    )
    ours.add_argument(
        "--grace",
        type=seconds,
        metavar="S",
        help="between SIGTERM and SIGKILL for ranks that survive another's death (default: 30 for run, else 5)",
    )
    ours.add_argument(
        "--record",
        action="store_true",
        help="run: record what is trained on even without a fault; the others always do",
    )
    ours.add_argument(
        "--cluster",
        choices=["local", "compose"],
        default="local",
        help="what nodes are: process trees of this machine, or containers of docker/compose.yaml (default: local)",
    )
    ours.add_argument(
        "--image",
        default="resumable:local",
        help="of the containers (default: resumable:local, made by docker/image.sh)",
    )
    ours.add_argument(
        "--compose-file",
        "--compose_file",
        metavar="F",
        help="of --cluster compose (default: docker/compose.yaml of this project, or else of this folder)",
    )
    ours.add_argument(
        "--content",
        action="store_true",
        help="compare what is in the batches too: the same samples, the same augmentation",
    )
    ours.add_argument(
        "--preload", action="append", default=[], metavar="MODULE", help="imported by the fork server too"
    )
    ours.add_argument(
        "--backend", choices=["gloo", "nccl"], help="of the built-in job (default: nccl if there are GPUs)"
    )
    _add_output_flags(ours)
    add_torchrun_flags(parser.add_argument_group("torchrun"))
    return parser


def _add_sweep_flags(parser: FlagGroup) -> None:
    parser.add_argument(
        "--at",
        default="all",
        metavar="WHEN",
        help="all: after every optimizer step; every:N: after every N-th; or a list of steps, ranges of steps and moments "
        "such as 3,10-20,save#1+during (default: all)",
    )
    parser.add_argument(
        "--ranks",
        default="each",
        metavar="WHO",
        help="each: every rank, in a run of its own; any: a drawn one; all: all at once; or a list such as 0,2-3,0+1, where "
        "a plus joins ranks that are hit together; of a fault of a node, a rank names its node (default: each)",
    )
    parser.add_argument("--kinds", default="sigkill", metavar="LIST", help="kinds of faults (default: sigkill)")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of the points, drawn from the seed")
    parser.add_argument(
        "--budget", type=seconds, metavar="S", help="start no point after so many seconds; what is left out is counted"
    )
    parser.add_argument(
        "--cold",
        choices=["each", "cause"],
        default="each",
        help="points that failed and are run again on plain processes: each, or one of every cause (default: each)",
    )
    parser.add_argument("--jobs", type=int, metavar="J", help="how many runs go on at once (default: by the cores)")
    parser.set_defaults(fault=[])


def seconds(text: str) -> float:
    """A duration such as `5`, `0.5` or `120s`; argparse turns the ValueError into a usage error."""
    value = float(text.removesuffix("s"))
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _add_output_flags(parser: FlagGroup) -> None:
    parser.add_argument("--quiet", "-q", action="store_true", help="print the verdict only")


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
