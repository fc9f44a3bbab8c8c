from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

from resumable.launch.system.environment import node_environment
from resumable.launch.system.processes import sweep, tagged

HOLDER = """
import multiprocessing, time
event = multiprocessing.get_context("spawn").Event()
print(event._flag._semlock.name, flush=True)
time.sleep(600)
"""


def test_what_a_killed_process_shared_is_unlinked() -> None:
    """Its resource tracker survives it for a moment, and nothing is left: no process, no semaphore."""
    tag = uuid.uuid4().hex
    environment = node_environment(tag=tag, nproc_per_node=1, one_machine=True)
    with subprocess.Popen([sys.executable, "-c", HOLDER], env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        name = holder.stdout.readline().strip().lstrip("/")
        semaphore = Path("/dev/shm") / f"sem.{name}"
        assert semaphore.exists()
        killed, leftover = sweep(tag)
    assert (killed, leftover, tagged(tag), semaphore.exists()) == ([holder.pid], [], [], False)
