"""The launcher for Python: runs a function or a script on N ranks, breaks it where it is told to, and keeps the evidence."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

import msgspec

from resumable.launch.api.job import Faults, Job, script_of
from resumable.launch.api.job_result import JobResult
from resumable.launch.api.sweep import swept_verdict
from resumable.launch.api.verdict import Verdict
from resumable.launch.cli.torchrun_parser import torchrun_flags_with
from resumable.launch.cluster import Cluster
from resumable.launch.errors import UsageError
from resumable.launch.evidence.function_call import write_call
from resumable.launch.evidence.node_records import NodeEnded
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge.verdict import judge, write_verdict
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import FaultRequest
from resumable.launch.plan.options import DEFAULT_IMAGE, ClusterKind, JobOptions
from resumable.launch.plan.plan import Command, Plan, RestartMethod, Scenario, Script, StartMethod, SweepOptions
from resumable.launch.plan.planner import make_plan
from resumable.launch.plan.scripts import built_in_job
from resumable.launch.plan.sweep_words import SweepWords
from resumable.launch.run.kept_references import KeptReferences
from resumable.launch.run.setup import cluster_of
from resumable.launch.run.supervisor import Supervisor, has_succeeded

_run_numbers = itertools.count()


class Launcher:
    """Starts jobs, breaks them where it is told to, and keeps the evidence.

    Used as a context manager it keeps its nodes warm from one run to the next, which saves each but the first the import of
    torch; without one every run has nodes of its own. Runs on warm nodes wait for one another, whichever threads they come
    from.

    Args:
        nproc_per_node: Ranks per node: a number, or `"auto"`, `"cpu"` or `"gpu"`.
        root: Every run gets a new folder in this one.
        nnodes: Nodes, all on this machine: a number, or `"MIN:MAX"`. None: as torchrun's environment says, or 1.
        seed: Seed of every draw, such as the rank of `rank="any"`.
        start_method: `"forkserver"`: ranks are forked from a process that has torch imported. `"subprocess"`: each is a
            plain `python script`, as under torchrun.
        restart: `"agent"`: torch's elastic agent restarts the worker group. `"job"`: everything ends, and the job is
            started again. None: the agent, or the job where a fault preempts the only node.
        restart_nproc_per_node: With `restart="job"`, ranks per node after the first restart; None: as before.
        max_restarts: None: as many as the faults need.
        hang_timeout: A rank that makes no progress for so many seconds is ended. None: 300, or less where a fault needs it.
        grace: Seconds between SIGTERM and SIGKILL for the ranks that survive one that died; None: 5.
        content: Compare what is in the batches too, not only which samples.
        references: Uninterrupted runs to compare with, at least 2.
        preload: Modules that the fork server imports besides torch.
        cluster: `"local"`: nodes are process trees of this machine. `"compose"`: they are containers.
        image: Image of the containers.
        compose_file: Their compose file; None: our own.
        torchrun: torchrun's further flags by their names, such as `rdzv_conf="join_timeout=9"`; True for one that takes no
            value.

    Raises:
        UsageError: there is no such flag, or it takes a different value.
    """

    def __init__(
        self,
        nproc_per_node: int | str = 1,
        *,
        root: str | os.PathLike[str] = "runs",
        nnodes: int | str | None = None,
        seed: int = 0,
        start_method: StartMethod = "forkserver",
        restart: RestartMethod | None = None,
        restart_nproc_per_node: int | None = None,
        max_restarts: int | None = None,
        hang_timeout: float | None = None,
        grace: float | None = None,
        content: bool = False,
        references: int = 2,
        preload: Sequence[str] = (),
        cluster: ClusterKind = "local",
        image: str = DEFAULT_IMAGE,
        compose_file: str | os.PathLike[str] | None = None,
        **torchrun: str | float | bool,
    ) -> None:
        nodes = {} if nnodes is None else {"nnodes": nnodes}
        flags, restarts_of_environment = torchrun_flags_with({**nodes, **torchrun})
        self._options = JobOptions(
            command="python",
            script=built_in_job(),
            torchrun=flags,
            nproc_per_node=str(nproc_per_node),
            seed=seed,
            start_method=start_method,
            restart=restart,
            restart_nproc_per_node=restart_nproc_per_node,
            max_restarts=restarts_of_environment if max_restarts is None else max_restarts,
            hang_timeout_s=hang_timeout,
            grace_s=grace,
            content=content,
            num_references=references,
            preload=tuple(preload),
            cluster=cluster,
            image=image,
            compose_file=None if compose_file is None else os.fspath(compose_file),
        )
        self._root = Path(root).absolute()
        self._is_warm = False
        self._cluster: Cluster | None = None
        self._exit = contextlib.ExitStack()
        self._lock = threading.Lock()
        make_plan(self._options)  # what cannot be done is refused here, not at the first run

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
        /,
        *arguments: object,
        faults: Faults = (),
        **options: object,
    ) -> JobResult:
        """Run a job to its end, restarts included.

        Args:
            job: A function that every rank calls, a script's path, or None for the built-in job. Ranks have torchrun's
                environment and a working directory that is this run's own.
            arguments: The function's, or the script's as text; `{run_dir}` in a text is the run's own folder.
            faults: What is to be done to the job, one fault or several: `Fault`s, or text as the command line takes it.
            options: The function's keyword arguments, of any name but `faults`; a parameter of the function that is called
                so can be given by its position, or by `functools.partial`.

        Returns:
            What every rank did and returned, and the evidence.

        Raises:
            UsageError: what is asked for cannot be done.
            NodeError: a node died that should not have.
        """
        run_dir = self._new_run_dir()
        plan = self._plan(script_of(job, arguments, run_dir.root), faults, command="python")
        self._prepare(plan, run_dir, job, arguments, options)
        [scenario] = plan.scenarios
        return JobResult(plan, run_dir, self._carry_out(plan, scenario, run_dir))

    def verify(
        self,
        job: Job | None = None,
        /,
        *arguments: object,
        faults: Faults,
        **options: object,
    ) -> Verdict:
        """Run a job undisturbed, as often as `references` says, and once with faults, and judge.

        Args:
            job: As for `run`.
            arguments: As for `run`.
            faults: As for `run`, at least one.
            options: As for `run`.

        Returns:
            The verdict of all checks, true if it is VALID; `verdict.reason` says why it is not.

        Raises:
            UsageError: what is asked for cannot be done.
            NodeError: a node died that should not have.
        """
        return self.verify_with(None, job, arguments, options, faults)

    def verify_with(
        self,
        references: KeptReferences | None,
        job: Job | None,
        arguments: Sequence[object],
        options: Mapping[str, object],
        faults: Faults,
    ) -> Verdict:
        """As `verify`; with references that others may have made, the job has to be the same."""
        run_dir = self._new_run_dir()
        plan = self._plan(script_of(job, arguments, run_dir.root), faults, command="verify")
        self._prepare(plan, run_dir, job, arguments, options)

        def run_references() -> bool:
            return all(has_succeeded(self._carry_out(plan, reference, run_dir)) for reference in plan.references)

        is_fit = references.provide(plan, run_dir, run_references).have_succeeded if references else run_references()
        if is_fit:
            self._carry_out(plan, plan.scenarios[-1], run_dir)
        verdict = judge(plan, run_dir)
        write_verdict(verdict, run_dir)
        return Verdict.of(verdict, plan, run_dir)

    def sweep(
        self, job: Job | None = None, /, *arguments: object, budget: float | None = None, **words: Unpack[SweepWords]
    ) -> Verdict:
        """Run a script twice undisturbed, then once for every point of its training with a fault there, and judge each.

        Args:
            job: A script's path, or None for the built-in job.
            arguments: As for `run`.
            budget: Begin no point after so many seconds.
            words: `at`, `ranks`, `kinds` and `sample`; `SweepWords` says what each means.

        Returns:
            The verdict on all points together; its explanation has the grid, and a command that repeats each failure.

        Raises:
            UsageError: what is asked for cannot be done.
            NodeError: nodes die as fast as they are started.
        """
        if callable(job):
            raise UsageError("sweep: expected a script, or none for the built-in job; a function can be verified")
        until = float("inf") if budget is None else time.monotonic() + budget
        _refuse(words.keys() - SweepWords.__annotations__.keys())
        run_dir = self._new_run_dir()
        swept = SweepOptions(**words)
        script = script_of(job, arguments, run_dir.root)
        plan = make_plan(msgspec.structs.replace(self._options, command="sweep", script=script, sweep=swept))
        run_dir.root.mkdir(parents=True)
        run_dir.write_plan(plan)
        return swept_verdict(plan, run_dir, until=until)

    def _new_run_dir(self) -> RunDir:
        return RunDir(root=self._root / time.strftime(f"%Y%m%d-%H%M%S-{os.getpid()}-{next(_run_numbers)}"))

    @staticmethod
    def _prepare(
        plan: Plan, run_dir: RunDir, job: Job | None, arguments: Sequence[object], options: Mapping[str, object]
    ) -> None:
        _refuse(() if callable(job) else options)
        run_dir.root.mkdir(parents=True)
        if callable(job):
            write_call(Path(plan.script.path), job, tuple(arguments), dict(options))
        run_dir.write_plan(plan)

    def _carry_out(self, plan: Plan, scenario: Scenario, run_dir: RunDir) -> list[NodeEnded]:
        with contextlib.ExitStack() as own:
            supervisor = Supervisor(plan, run_dir, self._nodes(plan, run_dir, own))
            try:
                return supervisor.run(scenario)
            except BaseException:
                supervisor.interrupt()
                self._forget_nodes()
                raise

    def _plan(self, script: Script, faults: Faults, *, command: Command) -> Plan:
        several = [faults] if isinstance(faults, str | FaultRequest) else faults
        requests = tuple(parse_fault(fault) if isinstance(fault, str) else fault for fault in several)
        return make_plan(msgspec.structs.replace(self._options, command=command, script=script, faults=requests))

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


def _refuse(names: Collection[str]) -> None:
    """Keyword arguments that nobody takes: without them a job would be run that was not asked for."""
    for name in sorted(names):
        raise UsageError(
            f"{name}=: a function's keyword arguments stand here. How ranks are started and hit is said to the Launcher, in "
            f"a test by its mark: @pytest.mark.resume({name}=...)"
        )
