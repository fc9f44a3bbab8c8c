"""A node: the process that runs torch's elastic agent and so the ranks of one machine.

The agent replaces signal handlers and changes the environment of the process that it runs in, so it gets one of its own. A
node stays warm: it takes one request after the other from a pipe and answers each on another one. When the first closes, its
supervisor is gone, and the node ends everything that it started.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import msgspec
from torch.distributed.elastic.multiprocessing import SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousClosedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from torch.distributed.run import config_from_args

from resumable.launch.evidence.chained_lines import ChainedFile
from resumable.launch.evidence.kept_work import keep_work
from resumable.launch.evidence.node_records import NodeEnded, NodeOutcome, NodeRecord, RankFailure, encode_node_line
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.node import rendezvous
from resumable.launch.node.fork_servers import ForkServers
from resumable.launch.node.hang_watch import HangWatch
from resumable.launch.node.protocol import NodeRequest
from resumable.launch.node.rank_logs import IncarnationLogs
from resumable.launch.node.rank_processes import RankWatch
from resumable.launch.node.torch_private import ForkProgram, show_long_lines_in_pieces, shown_local_ranks, tracker_pid
from resumable.launch.plan.fault_kinds import NODE_NOTICES
from resumable.launch.plan.plan import Plan, Scenario
from resumable.launch.plan.torchrun_flags import without_ignored
from resumable.launch.system.environment import has_fixed_hash_seed, own_tag, python_executable
from resumable.launch.system.offspring import reap_adopted
from resumable.launch.system.processes import kill_tagged, remove_scratch
from resumable.launch.worker.entry import run_rank

_NO_INTERVAL_S = 1e-6
"""The watch of the ranks waits in the agent's place, which must have some."""


def serve(requests: BinaryIO, replies: BinaryIO, second: ForkProgram | None = None) -> None:
    """Carry out requests until the supervisor closes the pipe.

    Args:
        requests: Lines of `NodeRequest`.
        replies: Gets one line of `NodeEnded` for each.
        second: See `ForkServers`.
    """
    tag = own_tag() or ""
    pending: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests, pending, tag), daemon=True).start()
    rendezvous.register()
    show_long_lines_in_pieces()
    fork_servers = ForkServers(second)
    while True:
        request = msgspec.json.decode(pending.get(), type=NodeRequest)
        ended = run_job(request, tag=tag, fork_servers=fork_servers)
        replies.write(encode_node_line(ended))
        replies.flush()


def run_job(request: NodeRequest, *, tag: str, fork_servers: ForkServers) -> NodeEnded:
    """Run the job of one request to its end, restarts included, and leave none of its processes behind."""
    run_dir = RunDir(root=Path(request.run_dir))
    plan = run_dir.read_plan()
    scenario_dir = run_dir.scenario(request.scenario)
    scenario = plan.scenario(request.scenario)
    if not has_fixed_hash_seed() and (plan.sweep is not None or any(map(_forks_again, plan.scenarios))):
        fork_servers.prepare_for_restarts()
    with ChainedFile(scenario_dir.node_file(request.node, tag)) as evidence:

        def announce(record: NodeRecord) -> None:
            evidence.write(encode_node_line(record))

        round_ = rendezvous.Round(
            counter=request.incarnation_counter,
            before_join=lambda: _end_leftovers(tag, fork_servers),
            after_join=fork_servers.use,
            first=scenario.first_incarnation,
        )
        if scenario.keeps_work:
            round_.before_ranks = partial(keep_work, run_dir.scenario(scenario.works_in))
        grace_s = _grace_s(plan, scenario)
        ranks = RankWatch(
            round_,
            look_every_s=float(str(plan.torchrun["monitor_interval"])),
            grace_s=grace_s,
            announce=announce,
            fork_servers=fork_servers,
        )
        with _watches(ranks, plan, scenario_dir, round_, announce):
            ended = _run_agent(plan, request, announce, round_)
        swept, leftover = _end_leftovers(tag, fork_servers)
        ended = msgspec.structs.replace(ended, swept_pids=swept, leftover_pids=leftover)
        announce(ended)
    return ended


def _forks_again(scenario: Scenario) -> bool:
    """Whether ranks of a fork server may be started more than once in it."""
    return scenario.start_method == "forkserver" and (scenario.max_restarts > 0 or len(scenario.nproc_per_start) > 1)


def _grace_s(plan: Plan, scenario: Scenario) -> float | None:
    """Ranks of a preempted node have the time that their fault gives them."""
    graces = [fault.argument or 0.0 for fault in scenario.faults if fault.kind in NODE_NOTICES]
    return plan.grace_s if plan.grace_s is None else max([plan.grace_s, *graces])


@contextlib.contextmanager
def _watches(
    ranks: RankWatch,
    plan: Plan,
    scenario_dir: ScenarioDir,
    round_: rendezvous.Round,
    announce: Callable[[NodeRecord], None],
) -> Iterator[None]:
    """Look after the ranks while the agent runs."""
    with contextlib.ExitStack() as watches:
        watches.enter_context(ranks.attached())
        if plan.hang_timeout_s is not None:
            hangs = HangWatch(scenario_dir, round_, ranks, timeout_s=plan.hang_timeout_s, announce=announce)
            watches.enter_context(hangs.watching())
        yield


def _run_agent(
    plan: Plan, request: NodeRequest, announce: Callable[[NodeRecord], None], round_: rendezvous.Round
) -> NodeEnded:
    config = _launch_config(plan, request, round_, announce)
    work = Path(request.working_directory)
    os.chdir(work)
    entrypoint, arguments = _entrypoint(plan, request, work)

    def ended(outcome: NodeOutcome, message: str = "", failures: Sequence[RankFailure] = ()) -> NodeEnded:
        return NodeEnded(
            node=request.node, outcome=outcome, time_ns=time.monotonic_ns(), message=message, failures=list(failures)
        )

    try:
        elastic_launch(config, entrypoint)(*arguments)
        return ended("succeeded")
    except ChildFailedError as error:
        failures = [
            RankFailure(rank=rank, pid=failure.pid, exit_code=failure.exitcode, message=str(failure.message))
            for rank, failure in error.failures.items()
        ]
        return ended("failed", failures=failures)
    except RendezvousClosedError:
        return ended("late", message="the job was over when this node came")
    except SignalException as error:
        return ended("interrupted", message=error.sigval.name)
    except Exception as error:  # the agent's own failure is an answer too: the supervisor waits for one
        return ended("failed", message=f"{type(error).__name__}: {error}")


def _launch_config(
    plan: Plan, request: NodeRequest, round_: rendezvous.Round, announce: Callable[[NodeRecord], None]
) -> LaunchConfig:
    """torchrun's own configuration, with our rendezvous, logs and start method in it."""
    flags = SimpleNamespace(**without_ignored(plan.torchrun))
    flags.nproc_per_node = str(request.nproc_per_node)
    flags.max_restarts = request.max_restarts
    flags.training_script = plan.script.path
    flags.training_script_args = list(plan.script.arguments)
    flags.log_dir = os.devnull
    flags.start_method = "spawn"
    flags.node_rank = flags.node_rank or 0
    config, _, _ = config_from_args(flags)
    scenario_dir = RunDir(root=Path(request.run_dir)).scenario(request.scenario)
    return replace(
        config,
        run_id=request.run_id,
        rdzv_backend=rendezvous.BACKEND,
        rdzv_endpoint=request.endpoint,
        rdzv_configs={**config.rdzv_configs, **request.rdzv_configs, "round": round_},
        local_addr=request.local_addr,
        monitor_interval=_NO_INTERVAL_S,
        start_method="forkserver",
        logs_specs=IncarnationLogs(
            scenario_dir=scenario_dir,
            round_=round_,
            node_number=request.node,
            redirects=Std.from_str(flags.redirects),
            tee=Std.from_str(flags.tee),
            local_ranks_filter=shown_local_ranks(config.logs_specs),
            announce=announce,
            clock_ns=time.monotonic_ns,
        ),
    )


def _entrypoint(plan: Plan, request: NodeRequest, work: Path) -> tuple[Callable[..., None] | str, list[str]]:
    """What torch's agent starts for every rank, and its arguments."""
    if plan.script.is_program:
        return plan.script.path, list(plan.script.in_directory(work).arguments)
    if plan.scenario(request.scenario).start_method == "subprocess":
        return python_executable(), ["-u", "-P", "-m", "resumable.launch.worker"]
    return run_rank, []


def _read_requests(requests: BinaryIO, pending: queue.SimpleQueue[bytes], tag: str) -> None:
    for line in requests:
        pending.put(line)
    end_all(tag)
    os._exit(1)


def end_all(tag: str) -> None:
    """End everything below the node; its resource tracker ends after it."""
    kill_tagged(tag, root=os.getpid(), spared={tracker_pid() or 0})
    remove_scratch(tag)


def _end_leftovers(tag: str, fork_servers: ForkServers) -> tuple[list[int], list[int]]:
    """End what ranks have left; no rank is there any more, and the node's own helpers stay for its next run.

    Returns:
        Pids that were found and killed, and those of them that would not die.
    """
    ended = kill_tagged(tag, root=os.getpid(), spared=fork_servers.pids)
    reap_adopted(fork_servers.pids)
    return ended
