"""What reaches a job from outside of its machine: nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.hosts import Host, connected_hosts
from tests.integration.waiting import wait_until

JOB = """
import pathlib, time, torch.distributed as dist
dist.init_process_group("gloo")
dist.barrier()
pathlib.Path(f"there-{dist.get_rank()}").touch()
while not pathlib.Path("over").exists():
    time.sleep(0.05)
dist.barrier()
"""
ATTACK = """
import socket, sys
for port in sys.argv[1:]:
    try:
        socket.create_connection(("host0", int(port)), timeout=5).close()
        print("reached", port)
    except ConnectionRefusedError:
        print("refused", port)
"""
LISTENS = "0A"
TIMEOUT_S = 120


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Host]]:
    with connected_hosts(2, tmp_path) as hosts:
        yield hosts


def listeners(process: psutil.Process) -> set[tuple[bool, int]]:
    """Whether each TCP port that is listened on where the process lives is on the loopback alone, and its number."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process.pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, port = local.split(":")
            if state == LISTENS:
                found.add((address in ("0100007F", "00000000000000000000000001000000"), int(port, 16)))
    return found


@pytest.mark.parametrize("method", ["forkserver", "subprocess"])
@pytest.mark.parametrize("meeting", [(), ("--rdzv-endpoint", "127.0.0.1:29500")], ids=["own", "endpoint"])
def test_a_job_of_one_machine_cannot_be_reached_from_another(
    hosts: list[Host], tmp_path: Path, method: str, meeting: tuple[str, ...]
) -> None:
    """All that listens, listens on the loopback; who knocks at its ports from outside is refused."""
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "attack.py").write_text(ATTACK)
    launch = (sys.executable, "-m", "resumable.launch", "run", "--start-method", method, *meeting)
    job = hosts[0].start((*launch, "--nproc-per-node", "2", "job.py"), tmp_path)
    wait_until(lambda: (tmp_path / "there-0").exists() and (tmp_path / "there-1").exists(), timeout_s=TIMEOUT_S)
    inside = psutil.Process(job.pid).children(recursive=True)[0]
    found = listeners(inside)
    ports = [str(port) for _, port in found]
    attack = hosts[1].start((sys.executable, "attack.py", *ports), tmp_path)
    said, _ = attack.communicate(timeout=TIMEOUT_S)
    (tmp_path / "over").touch()
    job.communicate(timeout=TIMEOUT_S)
    assert ({True}, 0) == ({is_loopback for is_loopback, _ in found}, job.returncode)
    assert sorted(said.splitlines()) == sorted(f"refused {port}" for port in ports)
