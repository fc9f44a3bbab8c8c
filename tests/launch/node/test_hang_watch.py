"""Silence as data, and real processes that stand still."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from resumable.launch.evidence.node_records import RankHung
from resumable.launch.evidence.rank_records import Exit, Load, Record, encode_line
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.node import hang_watch
from resumable.launch.node.hang_watch import HangWatch, Silence, rank_to_end
from resumable.launch.node.rank_processes import RankWatch
from resumable.launch.node.rendezvous import Round
from resumable.launch.node.stacks import is_waiting, job_place
from tests.integration.waiting import wait_until
from tests.launch.lines import started

pytestmark = pytest.mark.timeout(60)

TIMEOUT_S = 100.0
RANK = '''
import sys, time
from pathlib import Path
from resumable.launch.system.dump_signal import dump_stacks_on_request

dump_stacks_on_request(Path(sys.argv[1]))
STAND_STILL = """
print("ready", flush=True)
while True:
    time.sleep(3600)
"""

def in_the_script():
    exec(STAND_STILL)

def in_a_collective():
    exec(compile(STAND_STILL, "/lib/torch/distributed/distributed_c10d.py", "exec"))
'''
STUCK, WAITING = f"{RANK}in_the_script()", f"{RANK}in_a_collective()"

THREAD = "Thread 0x00007f00 (most recent call first):\n"
WORKER = '  File "/lib/torch/utils/data/_utils/pin_memory.py", line 50 in do_one_step\n'
COLLECTIVE = '  File "/lib/torch/distributed/distributed_c10d.py", line 2950 in all_reduce\n'
BACKWARD = '  File "/lib/torch/autograd/graph.py", line 829 in _engine_run_backward\n'
FORWARD = '  File "/lib/torch/nn/parallel/distributed.py", line 1775 in _pre_forward\n'
SCRIPT = '  File "train.py", line 7 in <module>\n'


def silent(rank: int, seconds: float, **changes: bool) -> Silence:
    return Silence(rank=rank, since_s=1000 - seconds, **changes)


@pytest.mark.parametrize(
    ("silences", "rank"),
    [
        pytest.param([silent(0, 3), silent(1, 5)], 1, id="the first that fell silent"),
        pytest.param([silent(0, 3), silent(1, 5, is_waiting=True)], 0, id="who waits for others is not ended"),
        pytest.param([silent(0, 3, is_stopped=True), silent(1, 5)], 0, id="who is stopped is"),
        pytest.param(
            [silent(0, 3, is_stopped=True), silent(1, 5, is_stopped=True)], 1, id="of two that are, the first"
        ),
        pytest.param([silent(0, 3, is_waiting=True), silent(1, 5, is_waiting=True)], 1, id="all wait"),
        pytest.param([silent(0, 1, is_stopped=True), silent(1, 5)], 1, id="who fell silent just now is not looked at"),
    ],
)
def test_one_rank_is_to_blame(silences: list[Silence], rank: int) -> None:
    """Stopped before hanging, hanging before waiting, and then the longest silence."""
    found = rank_to_end(silences, now_s=1000, timeout_s=2)
    assert found is not None
    assert rank == found.rank


@pytest.mark.parametrize("silences", [[], [silent(0, 1.9)], [silent(0, 0), silent(1, 1.9, is_stopped=True)]])
def test_nobody_is_to_blame_before_the_timeout(silences: list[Silence]) -> None:
    """A short silence is work."""
    assert rank_to_end(silences, now_s=1000, timeout_s=2) is None


@pytest.mark.parametrize(
    ("stacks", "expected"),
    [
        pytest.param(THREAD + COLLECTIVE + SCRIPT, True, id="a collective"),
        pytest.param(THREAD + BACKWARD + SCRIPT, True, id="DDP's, within backward"),
        pytest.param(THREAD + SCRIPT + BACKWARD + SCRIPT, False, id="the script, called from backward"),
        pytest.param(THREAD + FORWARD + SCRIPT, True, id="DDP's, before forward"),
        pytest.param(THREAD + SCRIPT + FORWARD + SCRIPT, False, id="the script, called from DDP"),
        pytest.param(THREAD + SCRIPT + COLLECTIVE + SCRIPT, True, id="a collective's own callback"),
        pytest.param(THREAD + SCRIPT, False, id="the script"),
        pytest.param(
            THREAD + COLLECTIVE + "\n" + THREAD + SCRIPT, False, id="only another thread's, the main one is last"
        ),
        pytest.param(THREAD + WORKER + "\n" + THREAD + COLLECTIVE + SCRIPT, True, id="the main thread's"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_a_stack_tells_who_waits_for_others(stacks: str, expected: bool) -> None:
    """The main thread's, as faulthandler writes it."""
    assert expected == is_waiting(stacks)


@pytest.mark.parametrize(
    ("stacks", "expected"),
    [
        pytest.param(THREAD + SCRIPT, "train.py:7", id="the script"),
        pytest.param(THREAD + f'  File "{os.__file__}", line 9 in sleep\n' + SCRIPT, "train.py:7", id="Python's own"),
        pytest.param(THREAD + f'  File "{psutil.__file__}", line 9 in f\n' + SCRIPT, "train.py:7", id="a package"),
        pytest.param(THREAD + '  File "<frozen runpy>", line 9 in f\n' + SCRIPT, "train.py:7", id="frozen"),
        pytest.param(THREAD + '  File "/home/me/lib/data.py", line 9 in f\n' + SCRIPT, "data.py:9", id="its library"),
        pytest.param(THREAD + SCRIPT + "\n" + THREAD + f'  File "{os.__file__}", line 9 in f\n', "", id="a thread's"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_stack_tells_where_the_job_stands(stacks: str, expected: str) -> None:
    """The innermost line that the job itself was written with."""
    assert expected == job_place(stacks)


class Node:
    """Evidence of a group of ranks, and real processes for those of this node."""

    def __init__(self, root: Path, stack: contextlib.ExitStack) -> None:
        self.scenario_dir = ScenarioDir(root=root / "faulted")
        self.scenario_dir.create()
        self._stack = stack
        self.round = Round(counter="", before_join=lambda: None)
        self.round.incarnation = 0
        self.children: dict[int, subprocess.Popen[bytes]] = {}
        self.hung: list[RankHung] = []

    def start(self, rank: int, source: str, *, silent_s: float) -> None:
        """A rank of this node that stands still."""
        stacks = self.scenario_dir.stacks_file(incarnation=0, rank=rank)
        command = [sys.executable, "-c", source, str(stacks)]
        child = self._stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
        self._stack.callback(child.kill)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        self.children[rank] = child
        self.record(rank, silent_s=silent_s)

    def record(self, rank: int, *lines: Record, silent_s: float) -> None:
        """What a rank wrote, its last line so long ago."""
        file = self.scenario_dir.event_file(incarnation=0, rank=rank, pid=7)
        file.write_bytes(b"".join(map(encode_line, lines or [Load(sequence=0, time_ns=0, path="latest.pt")])))
        since_s = time.time() - silent_s
        os.utime(file, (since_s, since_s))

    def watch(self, ranks: Looks, *, timeout_s: float = TIMEOUT_S) -> HangWatch:
        return HangWatch(self.scenario_dir, self.round, ranks, timeout_s=timeout_s, announce=self.hung.append)

    def look(self, *, timeout_s: float = TIMEOUT_S) -> list[int]:
        """Look once; says whom the watch has ended."""
        looks = Looks(self)
        self.watch(looks, timeout_s=timeout_s)._look(looks.pids)
        return [hang.rank for hang in self.hung]

    def stacks(self, rank: int) -> str:
        return self.scenario_dir.stacks_file(incarnation=0, rank=rank).read_text()


class Looks(RankWatch):
    """Stands where the watch of the ranks stands, and counts how often it is asked for their pids."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._asked = threading.Semaphore(0)

    @property
    def pids(self) -> dict[int, int]:
        self._asked.release()
        return {rank: child.pid for rank, child in self._node.children.items()}

    def await_more(self, num: int) -> None:
        """Return when it was asked so often again."""
        while self._asked.acquire(blocking=False):
            pass
        for _ in range(num):
            self._asked.acquire()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with contextlib.ExitStack() as stack:
        yield Node(tmp_path, stack)


def test_a_rank_that_hangs_is_ended_after_all_stacks_were_stored(node: Node) -> None:
    """Those of the ranks that go on too; the record says where they are, and how long it was silent."""
    node.start(0, STUCK, silent_s=0)
    node.start(1, STUCK, silent_s=TIMEOUT_S + 5)
    assert node.look() == [1]
    assert node.children[1].wait() == -signal.SIGKILL
    assert node.children[0].poll() is None
    hang = node.hung[0]
    assert (hang.incarnation, hang.pid, hang.is_stopped) == (0, node.children[1].pid, False)
    assert hang.stacks == ["faulted/logs/i000/rank0.stacks", "faulted/logs/i000/rank1.stacks"]
    assert hang.silent_s > TIMEOUT_S
    assert ["in_the_script" in node.stacks(rank) for rank in (0, 1)] == [True, True]


def test_a_rank_that_waits_in_a_collective_is_not_blamed_for_another(node: Node) -> None:
    """Though it fell silent first: its stack tells."""
    node.start(0, WAITING, silent_s=TIMEOUT_S + 9)
    node.start(1, STUCK, silent_s=TIMEOUT_S + 5)
    assert node.look() == [1]


PARENT = (
    RANK.replace('print("ready", flush=True)', "")
    + """
import os, signal

def in_a_worker():
    exec(STAND_STILL)

if os.fork() == 0:
    signal.signal(signal.SIGRTMIN + 7, signal.SIG_DFL)
    in_the_script()
if os.fork() == 0:
    in_a_worker()
print("ready", flush=True)
in_a_collective()
"""
)


def test_loader_workers_say_where_they_stand_too(node: Node) -> None:
    """Those that the rank has forked, after its own stack; who would be ended by the question is not asked."""
    node.start(0, PARENT, silent_s=TIMEOUT_S + 9)
    children = psutil.Process(node.children[0].pid).children()
    assert node.look() == [0]
    own, _, of_workers = node.stacks(0).partition("Process ")
    answers = (text.count("most recent call first") for text in (own, of_workers))
    assert ([1, 1], "in_a_worker" in own, "in_a_worker" in of_workers) == (list(answers), False, True)
    assert [child.is_running() for child in children] == [True, True]
    for child in children:
        child.kill()


@pytest.mark.parametrize(("longest_start_s", "ended"), [(1000.0, []), (0.0, [1])])
def test_a_rank_that_has_not_said_a_word_is_the_one_that_hangs(
    node: Node, monkeypatch: pytest.MonkeyPatch, longest_start_s: float, ended: list[int]
) -> None:
    """It stands still before its first line, in an import for example, while the other waits for it."""
    monkeypatch.setattr(hang_watch, "_START_S", longest_start_s)
    node.start(0, WAITING, silent_s=100)
    node.start(1, STUCK, silent_s=0)
    node.scenario_dir.event_file(incarnation=0, rank=1, pid=7).unlink()
    assert ended == node.look(timeout_s=0.001)


def test_a_stopped_rank_counts_as_hanging_and_is_not_asked(node: Node) -> None:
    """It cannot answer; the other can."""
    node.start(0, STUCK, silent_s=TIMEOUT_S + 9)
    node.start(1, STUCK, silent_s=TIMEOUT_S + 5)
    child = psutil.Process(node.children[1].pid)
    child.suspend()
    wait_until(lambda: child.status() == psutil.STATUS_STOPPED, timeout_s=30)
    assert node.look() == [1]
    assert (node.hung[0].is_stopped, node.hung[0].stacks) == (True, ["faulted/logs/i000/rank0.stacks"])
    assert node.children[1].wait() == -signal.SIGKILL


def test_a_rank_whose_script_is_over_does_not_hang(node: Node) -> None:
    """Nothing more is to come from it."""
    node.start(0, STUCK, silent_s=0)
    last = Exit(sequence=1, time_ns=0, reason="finished")
    node.record(0, Load(sequence=0, time_ns=0, path=""), last, silent_s=TIMEOUT_S + 9)
    assert node.look() == []


START = started(rank=1, world_size=2, pid=7)


@pytest.mark.parametrize(("timeout_s", "started_s", "ended"), [(5, 30, []), (5, 70, [1]), (90, 80, []), (90, 95, [1])])
def test_while_a_rank_starts_nobody_is_to_blame(
    node: Node, timeout_s: float, started_s: float, ended: list[int]
) -> None:
    """Its imports may take a minute, or the longest silence if that is more; rank 0 waits for it meanwhile."""
    node.start(0, WAITING, silent_s=100)
    node.start(1, STUCK, silent_s=0)
    node.record(1, START, silent_s=started_s)
    assert ended == node.look(timeout_s=timeout_s)


def test_a_silence_within_the_timeout_is_work(node: Node) -> None:
    """Nobody is asked, nobody ended."""
    node.start(0, STUCK, silent_s=TIMEOUT_S / 2)
    assert (node.look(), node.stacks(0)) == ([], "")


def test_an_earlier_incarnations_silence_is_not_looked_at(node: Node) -> None:
    """Its ranks are gone."""
    node.start(0, STUCK, silent_s=TIMEOUT_S + 5)
    node.round.incarnation = 1
    assert node.look() == []


@pytest.mark.parametrize(("silent_s", "ended"), [(1.5 * TIMEOUT_S, []), (2.5 * TIMEOUT_S, [0])])
def test_the_own_node_of_the_rank_to_end_acts_first(node: Node, silent_s: float, ended: list[int]) -> None:
    """Rank 1 of another node fell silent before; only if that one does nothing for a second period does this one act."""
    node.start(0, STUCK, silent_s=silent_s)
    node.record(1, silent_s=3 * TIMEOUT_S)
    assert ended == node.look()


def test_the_watch_acts_once_in_an_incarnation(node: Node) -> None:
    """The agent ends the others and starts the group again; a later look finds them still there and leaves them."""
    node.start(0, STUCK, silent_s=TIMEOUT_S + 9)
    node.start(1, STUCK, silent_s=TIMEOUT_S + 5)
    looks = Looks(node)
    with node.watch(ranks=looks, timeout_s=TIMEOUT_S / 1000).watching():
        node.children[0].wait()
        looks.await_more(3)
    assert [hang.rank for hang in node.hung] == [0]
    assert node.children[1].poll() is None
