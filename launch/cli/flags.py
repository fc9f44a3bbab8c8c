"""Our own options, by what they are about: torchrun's stand in `torchrun_parser`."""

from __future__ import annotations

import argparse
import contextlib
from typing import get_args

from resumable.launch.cli.argparse_private import FlagGroup
from resumable.launch.plan.options import DEFAULT_IMAGE
from resumable.launch.plan.plan import Tail
from resumable.launch.system.environment import KEEPS


def add_job_flags(parser: FlagGroup) -> None:
    """How a job is run: restarts, watches, nodes, evidence."""
    parser.add_argument("--seed", type=int, default=0, help="seed of every draw, such as rank=any (default: 0)")
    parser.add_argument(
        "--run-dir",
        "--run_dir",
        metavar="DIR",
        help="where the evidence goes (default: a new folder in --log-dir, or else in ./runs)",
    )
    parser.add_argument(
        "--start-method",
        "--start_method",
        choices=["forkserver", "subprocess"],
        default="forkserver",
        help="forkserver: ranks are forked from a process that has torch imported; subprocess: plain `python script`, "
        "as torchrun does (default: forkserver)",
    )
    parser.add_argument(
        "--restart",
        choices=["agent", "job"],
        help="agent: the elastic agent restarts the group; job: everything ends and the command is started again "
        "(default: agent; job if a fault preempts the only node)",
    )
    parser.add_argument(
        "--restart-nproc-per-node",
        "--restart_nproc_per_node",
        type=int,
        metavar="N",
        help="with --restart job: ranks per node after the first restart (default: as before)",
    )
    parser.add_argument(
        "--hang-timeout",
        "--hang_timeout",
        type=seconds,
        metavar="S",
        help="end a rank that makes no progress for so long, once its stacks are stored (default: off for run; else 300, "
        "or 30 with a fault that hangs; the built-in job: 5); a rank that is still starting has 60 s at least",
    )
    parser.add_argument(
        "--grace",
        type=seconds,
        metavar="S",
        help="seconds between SIGTERM and SIGKILL for the ranks that survive one that died (default: 30 for run, else 5)",
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="run: record what is trained on even without a fault; verify and sweep always do",
    )
    parser.add_argument(
        "--cluster",
        choices=["local", "compose"],
        default="local",
        help="what nodes are: process trees of this machine, or containers (default: local)",
    )
    parser.add_argument(
        "--image",
        default=DEFAULT_IMAGE,
        help=f"of the containers (default: {DEFAULT_IMAGE}; `resumable compose` says how it is built)",
    )
    parser.add_argument(
        "--compose-file",
        "--compose_file",
        metavar="F",
        help="of --cluster compose (default: our own, which `resumable compose` writes to be changed)",
    )
    parser.add_argument(
        "--content",
        action="store_true",
        help="compare what is in the batches too: the same samples, the same augmentation",
    )
    parser.add_argument(
        "--references",
        type=int,
        default=2,
        metavar="N",
        help="uninterrupted runs to compare with; more of them show better how far a job's numbers vary (default: 2)",
    )
    parser.add_argument(
        "--preload", action="append", default=[], metavar="MODULE", help="imported by the fork server too"
    )
    parser.add_argument(
        "--backend", choices=["gloo", "nccl"], help="of the built-in job (default: nccl if there are GPUs)"
    )


def add_record_flags(parser: FlagGroup) -> None:
    """Where the evidence of somebody else's ranks goes."""
    parser.add_argument(
        "--run-dir",
        "--run_dir",
        metavar="DIR",
        help="where the evidence goes, on a file system that all hosts share (default: a new folder in ./runs)",
    )
    parser.add_argument(
        "--keep",
        choices=KEEPS,
        default=KEEPS[0],
        help="how much is kept: the samples of each batch; batches: a digest of them, which is short for large batches too "
        "(a wrong one shows, its samples do not); quick: that, without the state after each step, written once a second "
        "(default: samples)",
    )


def add_fault_flags(parser: FlagGroup) -> None:
    """What is done to the job."""
    parser.add_argument(
        "--fault", action="append", default=[], metavar="F", help="what is done to the job, and when; repeatable"
    )


def add_verify_flags(parser: FlagGroup) -> None:
    """What a job is compared with."""
    parser.add_argument(
        "--reuse-reference",
        "--reuse_reference",
        action="store_true",
        help="compare with uninterrupted runs that are kept on this machine for the same script, arguments and versions; "
        "data is not looked at, so what is not VALID beside kept ones is compared with new ones",
    )


def add_sweep_flags(parser: FlagGroup) -> None:
    """Which points of training are hit, and how many at once."""
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
        help="each: every rank by itself; any: a drawn one; all: all together; or a list such as 0,2-3,0+1, "
        "where a plus joins ranks that are hit together; for a fault of a node, a rank names its node (default: each)",
    )
    parser.add_argument("--kinds", default="sigkill", metavar="LIST", help="kinds of faults (default: sigkill)")
    parser.add_argument(
        "--chain",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="hit one run at point after point, where the job allows it, and alone what fails there (default: yes)",
    )
    parser.add_argument(
        "--tail",
        choices=get_args(Tail),
        default="steps",
        help="how far restarts in a chain are followed at least: some steps, and some of them into the epoch after next; or "
        "each that far (default: steps)",
    )
    parser.add_argument("--sample", type=int, metavar="N", help="only N of the points, drawn from the seed")
    parser.add_argument("--budget", type=seconds, metavar="S", help="start no point after so many seconds")
    parser.add_argument(
        "--until-failure",
        "--until_failure",
        action="store_true",
        help="begin no point after the first that failed",
    )
    parser.add_argument(
        "--all-failures",
        "--all_failures",
        action="store_true",
        help="run each point, also between two of many failures with one cause",
    )
    parser.add_argument(
        "--confirm",
        choices=["each", "cause"],
        default="cause",
        help="which failed points are run again on plain processes: each, or one for every cause (default: cause)",
    )
    parser.add_argument(
        "--jobs", type=int, metavar="J", help="number of runs at the same time (default: as the cores allow)"
    )


def seconds(text: str) -> float:
    """A duration such as `5`, `0.5` or `120s`."""
    with contextlib.suppress(ValueError):
        value = float(text.removesuffix("s"))
        if 0 < value < float("inf"):
            return value
    raise argparse.ArgumentTypeError(f"{text}: expected seconds, such as 5, 0.5 or 120s")


def add_output_flags(parser: FlagGroup) -> None:
    """How much is printed."""
    parser.add_argument("--quiet", "-q", action="store_true", help="print the verdict only")


def add_report_flags(parser: FlagGroup) -> None:
    """One for each format, and `--strict`."""
    parser.add_argument("--html", metavar="F", help="write one self-contained HTML page; - is the standard output")
    parser.add_argument("--junit", metavar="F", help="write JUnit XML: one test case for each scenario")
    parser.add_argument("--json", metavar="F", help="write results.json, with everything in it")
    parser.add_argument("--markdown", metavar="F", help='write Markdown, as for "$GITHUB_STEP_SUMMARY"')
    parser.add_argument(
        "--trace", metavar="F", help="write a trace for https://ui.perfetto.dev, in Chrome's JSON format"
    )
    parser.add_argument(
        "--bundle", metavar="F.zip", help="write evidence, logs and page as one file, for `check` anywhere"
    )
    parser.add_argument("--strict", action="store_true", help="UNKNOWN is a failure in JUnit, an error on GitHub")
