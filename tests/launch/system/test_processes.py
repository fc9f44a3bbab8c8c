from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import psutil

from resumable.launch.system.environment import node_environment
from resumable.launch.system.processes import family, kill_tagged

HOLDER = """
import multiprocessing, time
event = multiprocessing.get_context("spawn").Event()
print(event._flag._semlock.name, flush=True)
time.sleep(600)
"""

ORPHAN = ["/bin/sh", "-c", "sleep 600 < /dev/null > /dev/null 2>&1 & echo $!"]
"""Leaves a process behind, says which, and ends."""
NODE = f"""
import json, os, subprocess, sys, psutil
from resumable.launch.system.offspring import adopt_orphans, reap_adopted
from resumable.launch.system.processes import kill_tagged

def orphan():
    return int(subprocess.run({ORPHAN}, env={{}}, start_new_session=True, stdout=subprocess.PIPE, check=True).stdout)

adopt_orphans()
own = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
os.waitid(os.P_PID, own.pid, os.WEXITED | os.WNOWAIT)
first, second = orphan(), orphan()
killed, leftover = kill_tagged("no such tag", root=os.getpid(), spared={{own.pid, second}})
reap_adopted({{own.pid}})
exit_code = own.wait()
os.kill(second, 9)
os.waitid(os.P_PID, second, os.WEXITED | os.WNOWAIT)
reap_adopted(())
children = [child.pid for child in psutil.Process().children()]
print(json.dumps([[first] == killed, leftover, exit_code, children]))
"""


def test_a_process_that_hides_from_its_node_is_found_below_it() -> None:
    """It has an empty environment and another session, and its parent is gone: the node has adopted it.

    A child of the node's own keeps its exit code for whoever waits for it, and adopted ones that have ended do not pile up.
    """
    node = subprocess.run([sys.executable, "-c", NODE], stdout=subprocess.PIPE, check=True, timeout=120)
    assert json.loads(node.stdout) == [True, [], 7, []]


def test_what_a_killed_process_shared_is_unlinked() -> None:
    """Its resource tracker survives it for a moment, and nothing is left: no process, no semaphore."""
    tag = uuid.uuid4().hex
    environment = node_environment(tag=tag, nproc_per_node=1, one_machine=True)
    with subprocess.Popen([sys.executable, "-c", HOLDER], env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        name = holder.stdout.readline().strip().lstrip("/")
        semaphore = Path("/dev/shm") / f"sem.{name}"
        assert semaphore.exists()
        killed, leftover = kill_tagged(tag)
    assert (killed, leftover, family(tag), semaphore.exists()) == ([holder.pid], [], [], False)


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""


def test_who_got_the_number_of_a_node_that_is_gone_loses_no_child() -> None:
    """The system gives it to the next process: perhaps to another run's node."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as stranger:
        assert stranger.stdout is not None
        child = int(stranger.stdout.readline())
        found = family(uuid.uuid4().hex, root=stranger.pid)
        psutil.Process(child).kill()
    assert found == []
