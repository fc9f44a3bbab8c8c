"""The command `resumable`: arguments in, exit code out."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from launch.arguments import parse
from launch.cluster import LocalCluster
from launch.environment import is_ci
from launch.errors import LaunchError, NodeError
from launch.plan import Plan
from launch.planner import make_plan
from launch.progress import ProgressLine
from launch.report.terminal import render
from launch.rundir import RunDir
from launch.supervisor import Supervisor
from launch.topology import Topology
from launch.verdict import Verdict, judge, write_verdict

_USAGE, _UNKNOWN, _INTERNAL = 2, 3, 70


class Interrupted(BaseException):
    """A signal asked this process to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command; returns its exit code."""
    console = Console(stderr=False, force_terminal=False if is_ci() else None, highlight=False)
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        if arguments.command == "check":
            return _check(arguments, console)
        return _launch(arguments, console)
    except NodeError as error:
        print(f"resumable: {error}", file=sys.stderr)
        return _UNKNOWN
    except LaunchError as error:
        print(f"resumable: {error}", file=sys.stderr)
        return _USAGE
    except Exception:
        # Whatever was not foreseen is ours to mend: told apart from every verdict.
        traceback.print_exc()
        return _INTERNAL


def _launch(arguments: argparse.Namespace, console: Console) -> int:
    plan = make_plan(arguments)
    run_dir = _create_run_dir(arguments, plan)
    if plan.command == "verify" and not arguments.quiet:
        console.print(f"evidence in {_shown(run_dir.root)}")
    with _signals_raise():
        try:
            ended = _carry_out(plan, run_dir, console, is_quiet=arguments.quiet or plan.command == "run")
        except Interrupted as error:
            return _interrupted(error, plan, run_dir)
    if plan.command == "run":
        return _tell_end(plan, run_dir, has_succeeded=ended)
    return _judge(plan, run_dir, console, is_quiet=arguments.quiet)


def _carry_out(plan: Plan, run_dir: RunDir, console: Console, *, is_quiet: bool) -> bool:
    """Run every scenario; says whether the last one succeeded. An interrupted one is ended in order first."""
    succeeded = False
    with _cluster(plan, run_dir) as cluster:
        supervisor = Supervisor(plan, run_dir, cluster)
        for scenario in plan.scenarios:
            with ProgressLine(run_dir.scenario(scenario.name), scenario.name, console, is_quiet=is_quiet) as line:
                try:
                    ended = supervisor.run(scenario, on_tick=line.tick)
                except Interrupted:
                    supervisor.interrupt()
                    raise
            succeeded = bool(ended) and all(answer.outcome == "succeeded" for answer in ended)
            if not succeeded and scenario in plan.references:
                break
    return succeeded


def _cluster(plan: Plan, run_dir: RunDir) -> LocalCluster:
    return LocalCluster(
        Topology.of(plan),
        nproc_per_node=max(max(scenario.nproc_per_start) for scenario in plan.scenarios),
        preload=plan.preload,
        log_dir=None if plan.command == "run" else run_dir.root / "nodes",
    )


def _check(arguments: argparse.Namespace, console: Console) -> int:
    codes = []
    for root in arguments.run_dirs:
        run_dir = RunDir(root=Path(root))
        plan = run_dir.read_plan()
        codes.append(_judge(plan, run_dir, console, is_quiet=arguments.quiet))
    return 1 if 1 in codes else max(codes)


def _judge(plan: Plan, run_dir: RunDir, console: Console, *, is_quiet: bool) -> int:
    verdict = judge(plan, run_dir)
    try:
        write_verdict(verdict, run_dir)
    except OSError as error:
        print(f"resumable: the verdict was not stored: {error}", file=sys.stderr)
    if is_quiet:
        print(_one_line(verdict, run_dir))
    else:
        render(verdict, plan, run_dir, console)
    return verdict.exit_code


def _one_line(verdict: Verdict, run_dir: RunDir) -> str:
    reason = f": {verdict.reason}" if verdict.reason else ""
    return f"{verdict.outcome.upper()} {_shown(run_dir.root)}{reason}"


def _create_run_dir(arguments: argparse.Namespace, plan: Plan) -> RunDir:
    """A new folder with the plan in it, every `{run_dir}` resolved by the node that runs the scenario.

    Raises:
        LaunchError: the folder holds a run already, or cannot be written.
    """
    fresh = Path(arguments.log_dir or "runs") / time.strftime(f"%Y%m%d-%H%M%S-{os.getpid()}")
    root = Path(arguments.run_dir) if arguments.run_dir else fresh
    run_dir = RunDir(root=root.absolute())
    try:
        run_dir.root.mkdir(parents=True, exist_ok=True)
        if run_dir.plan_file.exists():
            raise LaunchError(f"--run-dir {root}: holds a run already; its evidence stays. Name a new folder")
        run_dir.write_plan(plan)
    except OSError as error:
        raise LaunchError(f"--run-dir {root}: cannot be written ({error.strerror})") from error
    return run_dir


def _tell_end(plan: Plan, run_dir: RunDir, *, has_succeeded: bool) -> int:
    """The last words of `resumable run`: where the evidence is and, if the job failed, which rank to look at."""
    if not has_succeeded:
        [progress] = [report.result for report in judge(plan, run_dir).checks if report.name == "progress"]
        sentences = [violation.sentence for violation in progress.violations] or [progress.summary]
        print("\n  ".join(["resumable: the job failed", *sentences]), file=sys.stderr)
    print(f"resumable: evidence in {_shown(run_dir.root)}", file=sys.stderr)
    return 0 if has_succeeded else 1


def _interrupted(error: Interrupted, plan: Plan, run_dir: RunDir) -> int:
    print(
        f"resumable: interrupted by {error}; all ranks are ended, the evidence is kept\n"
        f"look at it: resumable check {_shown(run_dir.root)}",
        file=sys.stderr,
    )
    return 128 + error.signum if plan.command == "run" else _UNKNOWN


def _shown(path: Path) -> str:
    """Relative to where the user stands, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP raise `Interrupted` once; a second one ends the process at once."""

    def interrupt(signum: int, _frame: FrameType | None) -> None:
        for number in previous:
            signal.signal(number, signal.SIG_DFL)
        raise Interrupted(signum)

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in previous:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
