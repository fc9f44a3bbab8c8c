"""Commands that start the ranks of a job themselves, and our own beside them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

JOB = str(Path(__file__).parent / "jobs" / "plain.py")
TIMEOUT_S = 240
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "GLOO_SOCKET_IFNAME": "lo",
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # without it a plain torchrun fails at random
}


def port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def spawn(*words: str) -> list[str]:
    return [sys.executable, JOB, *words, "spawn", port()]


def resumable(*words: str, folder: Path, timeout_s: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "resumable.launch", *words],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
