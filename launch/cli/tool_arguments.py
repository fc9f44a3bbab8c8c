"""What the commands take that launch no job: run directories, as a rule, and what is wanted of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from difflib import get_close_matches

from resumable.launch.cli.flags import add_output_flags, add_report_flags
from resumable.launch.cli.help_texts import EXAMPLES


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_dirs",
        nargs="+",
        metavar="RUN",
        help="a run directory or its bundle; several that were only recorded are one job: its attempts, or its hosts",
    )
    parser.add_argument(
        "--against", metavar="REFERENCE", help="a recorded job that ran undisturbed, to compare recorded ones with"
    )
    add_output_flags(parser)


def _who(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dirs", nargs="+", metavar="RUN", help="a run directory, or all of one recorded job")
    parser.add_argument("--step", type=int, metavar="N", help="an optimizer step")
    parser.add_argument("--sample", metavar="I", help="an index of the data set")
    parser.add_argument("--epoch", type=int, metavar="E", help="an epoch")
    parser.add_argument("--batch", type=int, metavar="B", help="with --epoch: one of each rank's batches in it")
    parser.add_argument("--json", metavar="F", help="write it for programs; - is the standard output")


def _watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN", help="its run directory")
    parser.add_argument("--once", action="store_true", help="print how it is now, and leave")


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state", metavar="FILE", help="go on from a state, as JSON or in a checkpoint; what no flag says, it says"
    )
    parser.add_argument("--num-samples", type=int, metavar="N", help="samples in the data set")
    parser.add_argument("--world-size", type=int, metavar="W", help="number of ranks (default: 1)")
    parser.add_argument("--batch-size", type=int, metavar="B", help="samples in a rank's batch (default: 1)")
    parser.add_argument("--seed", type=int, metavar="S", help="seed of the order (default: 0)")
    parser.add_argument("--order", help="randperm, feistel or sequential, or one with its version (default: randperm)")
    parser.add_argument(
        "--drop-last", choices=["no", "yes", "global"], help="what becomes of the last samples (default: no)"
    )
    parser.add_argument("--epoch", type=int, metavar="E", help="the epoch (default: 0)")
    parser.add_argument("--steps", type=int, default=10, metavar="K", help="how many steps, at most (default: 10)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN", help="a run directory of `run`, `verify` or `sweep`, or its bundle")
    add_report_flags(parser)


def _issue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN", help="a run directory of `verify` or `sweep`, or its bundle")
    parser.add_argument(
        "--scenario", metavar="NAME", help="of a sweep: a point, by its folder or its faults (default: the worst cause)"
    )


def _compose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="a new folder")


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--nproc-per-node",
        "--nproc_per_node",
        type=int,
        default=2,
        metavar="N",
        help="ranks to have room for (default: 2)",
    )
    parser.add_argument(
        "--run-dir", "--run_dir", default="runs", metavar="DIR", help="where evidence will go (default: runs)"
    )
    parser.add_argument("--quick", action="store_true", help="skip the trials that really restart a job")
    parser.add_argument(
        "--json", metavar="F", help="write the findings; - is the standard output, and the table goes to standard error"
    )


def _example(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(EXAMPLES)
    parser.add_argument("name", choices=EXAMPLES, type=_nearest_of(EXAMPLES), metavar="NAME", help=f"one of {names}")


def _completion(parser: argparse.ArgumentParser) -> None:
    shells = ("bash", "zsh", "fish")
    parser.add_argument(
        "shell", choices=shells, type=_nearest_of(shells), metavar="SHELL", help=f"one of {', '.join(shells)}"
    )


TOOL_ARGUMENTS: Mapping[str, Callable[[argparse.ArgumentParser], None]] = {
    "check": _check,
    "who": _who,
    "watch": _watch,
    "plan": _plan,
    "report": _report,
    "issue": _issue,
    "compose": _compose,
    "doctor": _doctor,
    "example": _example,
    "completion": _completion,
}
"""By the command's name."""


def _nearest_of(words: tuple[str, ...]) -> Callable[[str], str]:
    """Takes one of a few words; whoever mistyped one is told which it was."""

    def word(text: str) -> str:
        if text not in words:
            nearest = get_close_matches(text.lower(), words, n=1)
            hint = f"\ndid you mean: {nearest[0]}" if nearest else ""
            raise argparse.ArgumentTypeError(f"{text!r}: expected one of {', '.join(words)}{hint}")
        return text

    return word
