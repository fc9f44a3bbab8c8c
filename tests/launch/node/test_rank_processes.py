"""Real processes, started and ended by torch's own contexts, as its elastic agent does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, start_processes
from torch.distributed.elastic.multiprocessing.api import MultiprocessContext, PContext

from resumable.launch.evidence.node_records import RankEnded
from resumable.launch.node.fork_servers import ForkServers
from resumable.launch.node.rank_processes import RankWatch, kill
from resumable.launch.node.rendezvous import Round
from tests.integration.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

STUBBORN_S = 20
"""A rank that SIGTERM does not end ends by itself so long after it, and ends well."""
STUBBORN = f"""
import os, signal, time
def end_late(*_):
    time.sleep({STUBBORN_S})
    os._exit(0)
signal.signal(signal.SIGTERM, end_late)
open(os.environ["READY"], "w").close()
while True:
    signal.pause()
"""
FIRST_TO_FAIL = """
import os, sys, time
while not os.path.exists(os.environ["READY"]):
    time.sleep(0.01)
sys.exit(7)
"""


def stubborn_or_failing(sources: tuple[str, str]) -> None:
    """The entry point of ranks that are functions."""
    exec(sources[int(os.environ["RANK"])], {})


def programs(sources: tuple[str, str]) -> dict[str, object]:
    """Plain children, as torchrun starts them."""
    return {"entrypoint": sys.executable, "args": {rank: ("-c", source) for rank, source in enumerate(sources)}}


def functions(sources: tuple[str, str]) -> dict[str, object]:
    """Children that run a function of ours, as those of the fork server do."""
    return {"entrypoint": stubborn_or_failing, "args": dict.fromkeys((0, 1), (sources,)), "start_method": "spawn"}


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """The file that `FIRST_TO_FAIL` waits for."""
    return tmp_path / "ready"


@pytest.fixture
def start(tmp_path: Path, ready: Path) -> Callable[..., PContext]:
    """Start two ranks whose numbers in the job are those of their sources."""

    def run(kind: Callable[[tuple[str, str]], dict[str, object]], *sources: str) -> PContext:
        environment = {"READY": str(ready), "PYTHONPATH": os.pathsep.join(sys.path)}
        return start_processes(
            name="rank",
            envs={rank: {**environment, "RANK": str(rank)} for rank in (0, 1)},
            logs_specs=DefaultLogsSpecs(log_dir=str(tmp_path / "logs")),
            **kind(sources),
        )

    return run


def watching(grace_s: float | None) -> RankWatch:
    round_ = Round(counter="", before_join=lambda: None)
    return RankWatch(round_, look_every_s=0, grace_s=grace_s, announce=lambda _: None, fork_servers=ForkServers())


def ends_of(
    start: Callable[[], PContext], *, grace_s: float | None = None, once_one_is_noted: Path | None = None
) -> dict[int, RankEnded]:
    """Run two ranks until the first failed, as the agent does; how each ended, by rank.

    Args:
        start: Starts them.
        grace_s: Of the watch.
        once_one_is_noted: A file that is made once the watch has noted the end of a rank.
    """
    ends: list[RankEnded] = []
    round_ = Round(counter="", before_join=lambda: None)
    round_.incarnation = 4
    watch = RankWatch(round_, look_every_s=0, grace_s=grace_s, announce=ends.append, fork_servers=ForkServers())
    with watch.attached():
        context = start()
        if once_one_is_noted is not None:
            wait_until(lambda: len(watch._ends._times_ns) == 1, timeout_s=60)
            once_one_is_noted.touch()
        context.wait()
    assert {end.incarnation for end in ends} <= {4}
    return {end.rank: end for end in ends}


@pytest.mark.parametrize("kind", [programs, functions])
def test_a_rank_that_ignores_sigterm_is_killed_after_the_grace(start: Callable[..., PContext], kind: object) -> None:
    """It is not given torch's 30 s, in which this one would have ended by itself; the first to fail is first."""
    ends = ends_of(lambda: start(kind, FIRST_TO_FAIL, STUBBORN), grace_s=0.2)
    assert {rank: end.exit_code for rank, end in ends.items()} == {0: 7, 1: -signal.SIGKILL}
    assert ends[0].time_ns < ends[1].time_ns


def test_ranks_that_end_well_are_noted_too(start: Callable[..., PContext], ready: Path) -> None:
    """In the order in which they were gone, and with their codes."""
    wait = FIRST_TO_FAIL.replace("sys.exit(7)", "")
    ends = ends_of(lambda: start(programs, wait, "pass"), once_one_is_noted=ready)
    assert {rank: end.exit_code for rank, end in ends.items()} == {0: 0, 1: 0}
    assert ends[1].time_ns < ends[0].time_ns


def test_a_rank_that_was_gone_before_anybody_could_wait_for_it_has_ended(
    start: Callable[..., PContext], ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end is noted, with its code, before those of the others."""
    opened, open_ = [], os.pidfd_open

    def pidfd_open(pid: int) -> int:
        opened.append(pid)
        if len(opened) == 2:
            raise ProcessLookupError
        return open_(pid)

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    ends = ends_of(lambda: start(functions, FIRST_TO_FAIL, "import os; os._exit(3)"), once_one_is_noted=ready)
    assert (ends[1].exit_code, ends[1].time_ns < ends[0].time_ns) == (3, True)


@pytest.mark.parametrize("kind", [programs, functions])
def test_ranks_that_leave_at_once_with_exit_code_0_are_done(start: Callable[..., PContext], kind: object) -> None:
    """The agent waits for no return value of a script that calls `os._exit`, as many do that fear the end of torch."""
    ends = ends_of(lambda: start(kind, "import os; os._exit(0)", "import os; os._exit(0)"))
    assert {rank: end.exit_code for rank, end in ends.items()} == {0: 0, 1: 0}


def test_pids_are_known_while_ranks_run(start: Callable[..., PContext]) -> None:
    """By rank, not by place on the node; none before and after."""
    watch = watching(0.2)
    with watch.attached():
        assert watch.pids == {}
        context = start(programs, STUBBORN, STUBBORN)
        assert dict(watch.pids) == context.pids()
        context.close()
        assert watch.pids == {}


def test_torch_is_as_it_was_afterwards() -> None:
    """The watch leaves no wrapper behind."""
    methods = PContext.start, PContext.close, MultiprocessContext._is_done
    with watching(None).attached():
        assert methods[0] is not PContext.start
    assert methods == (PContext.start, PContext.close, MultiprocessContext._is_done)


def test_a_signal_to_a_rank_that_is_gone_is_no_error() -> None:
    """A rank may end between the look at it and the signal."""
    child = os.spawnlp(os.P_NOWAIT, sys.executable, sys.executable, "-S", "-c", "")
    os.waitpid(child, 0)
    kill(child)


WITH_A_WORKER = """
import os, signal, time

def told(signum, frame):
    open(os.environ["READY"] + str(os.getpid() == rank), "w").close()
    os._exit(0)

rank = os.getpid()
signal.signal(signal.SIGTERM, told)
if os.fork() == 0:
    open(os.environ["READY"], "w").close()
time.sleep(60)
"""


@pytest.mark.parametrize(("is_notice", "worker_is_told"), [(True, True), (False, False)])
def test_a_notice_goes_to_all_that_a_rank_has_started(
    start: Callable[..., PContext], ready: Path, is_notice: bool, worker_is_told: bool
) -> None:
    """As a scheduler signals every process; when ranks are ended because one failed, each sees to its own children."""
    with watching(10).attached():
        context = start(functions, WITH_A_WORKER, "import time; time.sleep(60)")
        wait_until(ready.exists, timeout_s=60)
        children = [child for pid in context.pids().values() for child in psutil.Process(pid).children()]
        try:
            raise SignalException("", signal.SIGTERM) if is_notice else ValueError
        except (SignalException, ValueError):
            context.close(signal.SIGTERM)
    psutil.wait_procs(children if is_notice else ())
    files = [ready.with_name(f"ready{is_rank}").exists() for is_rank in (True, False)]
    assert [True, worker_is_told] == files
    for child in children if not is_notice else ():
        child.kill()


@pytest.mark.parametrize("kind", [programs, functions])
def test_a_look_comes_as_soon_as_no_rank_is_left(start: Callable[..., PContext], kind: object) -> None:
    """However seldom the agent is to look; what was to be seen then is seen."""
    round_ = Round(counter="", before_join=lambda: None)
    watch = RankWatch(round_, look_every_s=3600, grace_s=None, announce=lambda _: None, fork_servers=ForkServers())
    with watch.attached():
        context = start(kind, "import os; os._exit(0)", "import os; os._exit(0)")
        while (result := context.wait(0)) is None:
            pass
    assert not result.is_failed()
