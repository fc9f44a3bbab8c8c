"""The launcher for Python: runs a function or a script on N ranks, breaks it where it is told to, and keeps the evidence."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from resumable.launch.api.job_result import JobResult
from resumable.launch.cli.parser import parse
from resumable.launch.cluster import Cluster
from resumable.launch.errors import ScriptNotFoundError
from resumable.launch.evidence.function_call import write_call
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.fault_model import FaultRequest
from resumable.launch.plan.plan import Plan, Script
from resumable.launch.plan.planner import BUILT_IN_JOB, make_plan
from resumable.launch.run.setup import cluster_of, refuse_absent
from resumable.launch.run.supervisor import Supervisor

Job = Callable[..., object] | str | os.PathLike[str]
_run_numbers = itertools.count()


class Launcher:
    """Starts jobs.

    Used as a context manager it keeps its nodes warm from one run to the next, which saves each but the first the import of
    torch; otherwise every run has its own. Runs on warm nodes wait for one another, whichever threads they come from.

    Args:
        nproc_per_node: Ranks per node, a number or what torchrun takes.
        root: Every run gets a folder of its own in this one.
        flags: Flags of the command line by their names, such as `nnodes="2:3"`, `restart="job"`, `hang_timeout=5`,
            `start_method="subprocess"`; True for one without a value.

    Raises:
        UsageError: a flag that there is not, or that takes another value.
    """

    def __init__(
        self, nproc_per_node: int | str = 1, *, root: str | os.PathLike[str] = "runs", **flags: str | float | bool
    ) -> None:
        self._words = [f"--nproc-per-node={nproc_per_node}", *_words(flags)]
        self._root = Path(root).absolute()
        self._is_warm = False
        self._cluster: Cluster | None = None
        self._exit = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._plan(_script(None, (), self._root), ())

    def __enter__(self) -> Self:
        self._is_warm = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_warm = False
        self._forget_nodes()

    def run(
        self,
        job: Job | None = None,
        *arguments: object,
        faults: FaultRequest | str | Sequence[FaultRequest | str] = (),
        **options: object,
    ) -> JobResult:
        """Run a job to its end, restarts included.

        Args:
            job: A function that every rank calls, a script's path, or None for the built-in job. Ranks have torchrun's
                environment and a working directory that is this run's own.
            arguments: The function's, or the script's as text; `{run_dir}` in a text is the run's own folder.
            faults: What is to be done to the job, one fault or several.
            options: The function's keyword arguments.

        Raises:
            UsageError: what is asked for cannot be done.
            NodeError: a node died that should not have.
        """
        folder = self._root / time.strftime(f"%Y%m%d-%H%M%S-{os.getpid()}-{next(_run_numbers)}")
        run_dir = RunDir(root=folder)
        plan = self._plan(_script(job, arguments, folder), faults)
        refuse_absent(plan)
        folder.mkdir(parents=True)
        if callable(job):
            write_call(Path(plan.script.path), job, arguments, options)
        run_dir.write_plan(plan)
        with contextlib.ExitStack() as own:
            supervisor = Supervisor(plan, run_dir, self._nodes(plan, run_dir, own))
            [scenario] = plan.scenarios
            try:
                ended = supervisor.run(scenario)
            except BaseException:
                supervisor.interrupt()
                self._forget_nodes()
                raise
        return JobResult(plan, run_dir, ended)

    def verify(
        self,
        job: Job | None = None,
        *arguments: object,
        faults: FaultRequest | str | Sequence[FaultRequest | str],
        **options: object,
    ) -> Verdict:
        """Run a job twice undisturbed and once with faults, and judge; arguments as for `run`."""
        references = [self.run(job, *arguments, **options) for _ in range(2)]  # type: ignore[arg-type]
        return self.run(job, *arguments, faults=faults, **options).check(against=references)

    def _plan(self, script: Script, faults: FaultRequest | str | Sequence[FaultRequest | str]) -> Plan:
        arguments = parse(["verify", *self._words])
        arguments.command = "python"
        arguments.fault = [faults] if isinstance(faults, str | FaultRequest) else list(faults)
        if script.path != BUILT_IN_JOB:
            arguments.training_script = script.path
        return make_plan(arguments, script=script)

    def _nodes(self, plan: Plan, run_dir: RunDir, own: contextlib.ExitStack) -> Cluster:
        if not self._is_warm:
            return own.enter_context(cluster_of(plan, run_dir))
        own.enter_context(self._lock)  # nodes that two callers asked would give either the other's answer
        if self._cluster is None:
            self._cluster = self._exit.enter_context(cluster_of(plan, run_dir))
        return self._cluster

    def _forget_nodes(self) -> None:
        """End nodes that are kept warm: after an error nobody knows what they still have to say."""
        self._cluster = None
        self._exit.close()


def _words(flags: Mapping[str, str | float | bool]) -> list[str]:
    """Flags as the command line writes them."""
    named = [(f"--{name.replace('_', '-')}", value) for name, value in flags.items() if value is not False]
    return [name if value is True else f"{name}={value}" for name, value in named]


def _script(job: Job | None, arguments: Sequence[object], folder: Path) -> Script:
    """What every rank runs; the call of a function is still to be written, into the run's folder."""
    words = tuple(map(str, arguments))
    if job is None:
        return Script(path=BUILT_IN_JOB, arguments=words, is_module=True)
    if callable(job):
        return Script(path=str(folder / "call.pkl"), is_function=True)
    file = Path(job).absolute()
    if not file.is_file():
        raise ScriptNotFoundError(f"script {os.fspath(job)!r} {'is a folder' if file.is_dir() else 'does not exist'}")
    return Script(path=str(file), arguments=words)
