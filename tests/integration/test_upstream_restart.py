"""The fault of torch's own restart that our rendezvous answers to; it tells us when upstream has mended it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

NUM_TRIES = 3
TIMEOUT_S = 75
SCRIPT = """
import os, signal, sys
from datetime import timedelta
import torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=timedelta(seconds=8))
dist.all_reduce(torch.ones(1))
if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and os.environ["RANK"] == "1":
    os.kill(os.getpid(), signal.SIGKILL)
dist.all_reduce(torch.ones(1))
dist.destroy_process_group()
"""
COMMON = ("--nproc-per-node", "4", "--max-restarts", "1", "--local-addr", "127.0.0.1")


def exit_code(tmp_path: Path, *launcher: str) -> int:
    """What the launcher exits with; 124 if it hangs, which is one way in which the restart fails."""
    script = tmp_path / "dies_once.py"
    script.write_text(SCRIPT)
    launched = subprocess.Popen(
        [sys.executable, "-m", *launcher, *COMMON, str(script)],
        cwd=tmp_path,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return launched.wait(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        # An agent that is killed leaves its ranks running.
        family = psutil.Process(launched.pid).children(recursive=True)
        launched.kill()
        for process in family:
            process.kill()
        launched.wait()
        return 124


def test_a_plain_torchrun_restart_fails_with_gloo(tmp_path: Path) -> None:
    """Restarted ranks read the addresses of dead ones (pytorch#135712); once this fails, torch has mended it."""
    tries = (exit_code(tmp_path, "torch.distributed.run", "--standalone") for _ in range(NUM_TRIES))
    assert any(tries), "plain torchrun restarted gloo ranks every time: is launch/node/rendezvous.py still needed?"


@pytest.mark.thorough  # `test_doctor.py` restarts two ranks
def test_the_same_restart_works_here(tmp_path: Path) -> None:
    """The same script and flags under `resumable run` end well."""
    assert exit_code(tmp_path, "resumable.launch", "run", "--run-dir", "run") == 0
